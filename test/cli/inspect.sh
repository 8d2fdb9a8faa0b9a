# SPDX-License-Identifier: MIT
# inspect: the sections, imports and exports of a module, with their sizes.
run inspect "$GUESTS/hello.wasm"
exits 0
silent
for section in type import function table memory global export code data custom; do
    prints "^ *$section .*bytes"
done
prints 'wasi_snapshot_preview1 fd_write'
prints 'memory'
prints '_start'
