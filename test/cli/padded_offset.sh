# SPDX-License-Identifier: MIT
# engines: each
# An offset of ten bytes, most of which say nothing, in an atomic load of what is at 4. (The interpreter took its last
# bytes for instructions.)
bytes padded.wasm 00 61 73 6d 01 00 00 00 01 05 01 60 00 01 7f 03 02 01 00 05 04 01 03 01 01 07 05 01 01 66 \
    00 00 0a 13 01 11 00 41 00 fe 10 02 84 80 80 80 80 80 80 80 80 00 0b 0b 0a 01 00 41 04 0b \
    04 2a 00 00 00
run run --engine "$ENGINE" --invoke f padded.wasm
exits 0
prints '^42$'
