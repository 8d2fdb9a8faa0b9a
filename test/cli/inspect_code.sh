# SPDX-License-Identifier: MIT
# inspect --code: what was compiled, by the system's disassembler.
command -v objdump >/dev/null || { echo "no objdump here" >&2; exit 77; }
wat add <<'END'
(module (func $sum (export "sum") (param i32 i32) (result i32)
  (i32.add (local.get 0) (local.get 1))))
END
run inspect --engine fast --code add.wasm
exits 0
prints 'sum'
prints '\bret'
prints '\b(add|lea)'
# A C program's main has another name here: what is like it is named.
run inspect --code=main "$GUESTS/hello.wasm"
if [ "$code" = 1 ]; then
    says 'no function main'
    says 'hint: there is .*main'
fi
