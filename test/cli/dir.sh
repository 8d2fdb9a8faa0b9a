# SPDX-License-Identifier: MIT
# engines: each
# --dir maps a folder under its own name or another one, several times; what the guest writes is there.
mkdir data
run run --engine "$ENGINE" --dir data::/data "$GUESTS/symlinks.wasm"
exits 0
[ "$(cat data/dir/target)" = "through the link" ] || fail "the file is not on the host"
[ "$(readlink data/dangling)" = nowhere ] || fail "the link is not on the host"

mkdir -p data/in one
run run --engine "$ENGINE" --dir one --dir data::/data "$GUESTS/sandbox.wasm"
exits 0
! grep -Eq 'OPENED|DONE' out || fail "a path left its folder"

run run --engine "$ENGINE" --dir missing::/data "$GUESTS/hello.wasm"
[ "$code" != 0 ] || fail "a missing folder was accepted"
says missing
