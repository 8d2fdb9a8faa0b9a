# SPDX-License-Identifier: MIT
# Bad usage: exit 2, a message on stderr, nothing on stdout.
usage() {
    run "$@" </dev/null
    exits 2
    says '.'
    [ ! -s out ] || fail "expected nothing on stdout"
}

usage
usage frobnicate
says frobnicate
usage run
usage run --frobnicate "$GUESTS/hello.wasm"
says frobnicate
usage run --engine warp "$GUESTS/hello.wasm"
says warp
usage run --dir
usage run --max-memory lots "$GUESTS/hello.wasm"
usage run --max-time soon "$GUESTS/hello.wasm"
usage validate
usage inspect
usage wast
# A file is a program to run, with or without options; the files behind it are its arguments.
run --engine interp "$GUESTS/args.wasm" other.wasm
exits 0
prints 'other\.wasm'
run "$GUESTS/args.wasm" "$GUESTS/hello.wasm"
exits 0
prints 'argv.1. = <.*hello\.wasm>'
usage --frobnicate "$GUESTS/args.wasm"
says frobnicate
usage --frobnicate
# What is suggested is near: not any short name.
for option in --net -g; do
    usage run $option "$GUESTS/hello.wasm"
    ! grep -q 'did you mean' err || fail "a hint that makes no sense"
done
usage run --trce "$GUESTS/hello.wasm"
says 'did you mean --trace'
# What says nothing, whatever there is.
usage run --listen nowhere "$GUESTS/hello.wasm"
says 'not an address and a port'
usage serve --listen nowhere "$GUESTS/hello.wasm"
usage serve --metrics nowhere "$GUESTS/hello.wasm"
for command in run boot serve; do
    usage $command --trace-calls=paint "$GUESTS/hello.wasm"
    says "there is no call 'paint'"
done
for command in inspect compile worker bench-instantiate "explain $GUESTS/hello.wasm" "snapshot $GUESTS/hello.wasm"; do
    usage $command "$GUESTS/hello.wasm" one-more
    says 'and no more'
done
