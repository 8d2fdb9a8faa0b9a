# SPDX-License-Identifier: MIT
# engines: each
# What says where memory is accessed may be longer than it need be; the interpreter took the last bytes for instructions.
# An offset of ten bytes in an atomic load of what is at 4:
bytes padded.wasm 00 61 73 6d 01 00 00 00 01 05 01 60 00 01 7f 03 02 01 00 05 04 01 03 01 01 07 05 01 01 66 \
    00 00 0a 13 01 11 00 41 00 fe 10 02 84 80 80 80 80 80 80 80 80 00 0b 0b 0a 01 00 41 04 0b \
    04 2a 00 00 00
run run --engine "$ENGINE" --invoke f padded.wasm
exits 0
prints '^42$'
# A load that names memory 0, in two bytes:
bytes named.wasm 00 61 73 6d 01 00 00 00 01 05 01 60 00 01 7f 03 03 02 00 00 04 04 01 70 00 01 05 04 01 03 01 02 \
    07 05 01 01 66 00 00 09 07 01 00 41 00 0b 01 01 0c 01 01 0a 10 02 09 00 41 00 28 42 80 00 00 0b \
    04 00 41 09 0b 0b 0a 01 00 41 04 0b 04 2a 00 00 00
run run --engine "$ENGINE" --invoke f named.wasm
exits 0
prints '^0$'
