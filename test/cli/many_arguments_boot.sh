# SPDX-License-Identifier: MIT
# In a machine, of programs that run at the same time, too: lists that grow for a later one are no
# leak of an earlier one. What one writes may begin within a line of another's.
command -v qemu-system-x86_64 >/dev/null || { echo "no QEMU here" >&2; exit 77; }
many=$(seq 300)
run boot "$GUESTS/args.wasm" one ++ "$GUESTS/args.wasm" $many ++ "$GUESTS/args.wasm" $many $many </dev/null
exits 0
prints 'argc 2$'
prints 'argc 301$'
prints 'argc 601$'
