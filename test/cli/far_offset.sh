# SPDX-License-Identifier: MIT
# engines: each
# A constant address of 64 bits, and an offset with which the sum is 4 in 64 bits, and out of bounds in truth; and one
# that is within.
bytes wraps.wasm 00 61 73 6d 01 00 00 00 01 05 01 60 00 01 7f 03 02 01 00 05 03 01 04 01 07 05 01 01 66 00 00 \
    0a 12 01 10 00 42 08 2d 00 fc ff ff ff ff ff ff ff ff 01 0b
run run --engine "$ENGINE" --invoke f wraps.wasm
exits 134
says 'wasm trap: out of bounds memory access'
bytes within.wasm 00 61 73 6d 01 00 00 00 01 05 01 60 00 01 7f 03 02 01 00 05 03 01 04 01 07 05 01 01 66 00 00 \
    0a 12 01 10 00 42 08 2d 00 f7 ff 83 80 80 80 80 80 80 00 0b 0b 09 01 00 42 ff ff 03 0b 01 2a
run run --engine "$ENGINE" --invoke f within.wasm
exits 0
prints '^42$'
