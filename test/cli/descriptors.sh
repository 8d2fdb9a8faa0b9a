# SPDX-License-Identifier: MIT
# engines: each
# Nothing of ours is ever a program's: standard streams that are closed are /dev/null, whatever else we
# have open has other numbers, and what we were given beyond them stays with us.
clang-22 --target=wasm32-wasi -Wno-deprecated -O2 --no-wasm-opt "$HERE/descriptors.c" -o descriptors.wasm
echo text >secret
mkdir folder
echo text >folder/secret

for closed in '<&-' '>&-' '2>&-' '<&- >&-' '<&- 2>&-' '>&- 2>&-' '<&- >&- 2>&-'; do
    shown="run descriptors.wasm $closed"
    : >out
    : >err
    code=0
    eval "\"\$NEBULET\" run --engine $ENGINE descriptors.wasm $closed" || code=$?
    exits 0
done

# Output that is not there does not fail, and input that is not there has ended.
run run --engine "$ENGINE" "$GUESTS/stdin.wasm" <&-
exits 0
prints '^0 bytes'

# What was open before is not passed on, to a program or to QEMU.
exec 3<secret 5<folder 7<>secret 9>>secret
run run --engine "$ENGINE" descriptors.wasm
exits 0
mkdir bin
printf '#!/bin/sh\nexec ls -l /proc/self/fd >&2\n' >bin/qemu-system-x86_64
chmod +x bin/qemu-system-x86_64
for closed in '' '<&-' '>&-'; do
    eval "PATH=\"\$PWD/bin:\$PATH\" run boot descriptors.wasm $closed"
    says ' 3 -> .*memfd:nebulet-archive'
    ! grep -Eq 'secret|folder|nebulet-code' err || fail "QEMU gets more than it needs"
done
exec 3<&- 5<&- 7<&- 9>&-

# Standard streams of unusual kinds. A folder is one that can be looked at, but not into.
run run --engine "$ENGINE" descriptors.wasm 0>write-only
exits 0
run run --engine "$ENGINE" descriptors.wasm </proc/self/mem
exits 0
run run --engine "$ENGINE" descriptors.wasm 0<>/proc/self/fd/0 </dev/zero
exits 0
run run --engine "$ENGINE" descriptors.wasm <folder
exits 0
run run --engine "$ENGINE" descriptors.wasm beneath 0 <folder
exits 0
run run --engine "$ENGINE" "$GUESTS/stdin.wasm" 0>write-only
[ "$code" -lt 124 ] || fail "a trap, or still running"

# /proc is no part of a folder above it; it is what is in it when it is given itself, and links to
# descriptors are not followed even then.
for path in proc/self/mem proc/self/maps proc/self/fd/0 proc/thread-self/mem proc/self/root/etc/passwd \
    dev/fd/0 dev/stdin; do
    run run --engine "$ENGINE" --dir /::/ descriptors.wasm open $path
    [ "$code" = 63 ] || [ "$code" = 32 ] || fail "expected PERM or LOOP"
done
run run --engine "$ENGINE" --dir /proc/self::/ descriptors.wasm open maps
exits 0
run run --engine "$ENGINE" --dir /proc/self/fd::/ descriptors.wasm open 0 <secret
exits 32 # LOOP
run run --engine "$ENGINE" --dir /dev/fd::/ descriptors.wasm open 3
exits 32

# With few descriptors: a message, or it works.
for n in 4 5 6 7; do
    code=0
    shown="run with $n descriptors"
    ( ulimit -n $n; exec "$NEBULET" run --engine "$ENGINE" --dir folder descriptors.wasm open secret ) \
        >out 2>err </dev/null || code=$?
    case $code in
    0 | 33) ;; # 33: MFILE, the program's
    *) exits 1 && says 'Too many open files' ;;
    esac
done
