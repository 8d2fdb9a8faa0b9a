# SPDX-License-Identifier: MIT
# engines: each
# In a machine as in descriptors.sh.
command -v qemu-system-x86_64 >/dev/null || { echo "no QEMU here" >&2; exit 77; }
clang-22 --target=wasm32-wasi -Wno-deprecated -O2 --no-wasm-opt "$HERE/descriptors.c" -o descriptors.wasm

for closed in '<&-' '>&-' '2>&-' '<&- >&- 2>&-'; do
    shown="boot descriptors.wasm $closed"
    code=0
    eval "timeout 300 \"\$NEBULET\" boot --engine $ENGINE descriptors.wasm $closed" || code=$?
    exits 0
done

run boot --engine "$ENGINE" "$GUESTS/stdin.wasm" <&-
exits 0
prints '^0 bytes'

for n in 5 7 9 10; do
    code=0
    shown="boot with $n descriptors"
    ( ulimit -n $n; exec "$NEBULET" boot descriptors.wasm ) >out 2>err </dev/null || code=$?
    [ "$code" = 0 ] || { exits 1; says 'Too many open files'; }
done
