# SPDX-License-Identifier: MIT
# validate: silent and 0 on good modules; on bad ones the file, the offset and the reason.
run validate "$GUESTS/hello.wasm" "$GUESTS/br_table.wasm" "$GUESTS/many_args.wasm"
exits 0
silent
[ ! -s out ] || fail "expected no output"

# i32.add on an empty stack, at offset 0x17.
bytes type.wasm 00 61 73 6d 01 00 00 00 01 04 01 60 00 00 03 02 01 00 0a 05 01 03 00 6a 0b
run validate type.wasm
exits 1
says 'type\.wasm'
says '0x0*17|\b23\b'
says 'type mismatch'

# The section says six bytes and the file ends after two.
bytes short.wasm 00 61 73 6d 01 00 00 00 01 06 01 60
run validate short.wasm
exits 1
says 'short\.wasm'
says '0x|offset|[0-9]'

bytes magic.wasm 00 61 73 6e 01 00 00 00
run validate magic.wasm
exits 1
says 'magic header'
bytes version.wasm 00 61 73 6d 02 00 00 00
run validate version.wasm
exits 1
says 'version'

# What a later proposal means by the byte is said: a continuation.
bytes later.wasm 00 61 73 6d 01 00 00 00 01 04 01 60 00 00 03 02 01 00 0a 06 01 04 00 e0 00 0b
run validate later.wasm
exits 1
says 'stack switching'

bytes function.wasm 00 61 73 6d 01 00 00 00 01 03 01 5d 00
run validate function.wasm
exits 1
says 'stack switching'
bytes pages.wasm 00 61 73 6d 01 00 00 00 05 04 01 08 01 00
run validate pages.wasm
exits 1
says 'custom page sizes'
bytes empty.wasm
run validate empty.wasm
exits 1
says 'the file is empty'
echo '(module)' >text.wat
run text.wat
exits 1
says 'wat2wasm text\.wat'

# One bad module among good ones fails the whole.
run validate "$GUESTS/hello.wasm" type.wasm
exits 1
# The same module cannot be run.
run run type.wasm
exits 1
says 'type mismatch'
