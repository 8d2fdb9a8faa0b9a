# SPDX-License-Identifier: MIT
# engines: each
# --max-memory: growth beyond it fails in the program, and a memory that starts beyond it is refused.
wat grow <<'END'
(module (memory (export "memory") 1)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
END
run run --engine "$ENGINE" --max-memory 1M --invoke grow grow.wasm 15
exits 0
prints '^1$'
run run --engine "$ENGINE" --max-memory 1M --invoke grow grow.wasm 16
prints '^-1$'
run run --engine "$ENGINE" --max-memory 65536 --invoke grow grow.wasm 0
prints '^1$'
wat big <<'END'
(module (memory 100) (func (export "_start")))
END
run run --engine "$ENGINE" --max-memory 1M big.wasm
[ "$code" != 0 ] && [ "$code" -lt 128 ] || fail "expected to be refused"
says memory
# Tables count, but for the first megabyte: each element takes 32 bytes.
wat tables <<'END'
(module (table $a 0 funcref) (table $b 0 funcref) (func $f) (elem declare func $f)
  (func (export "grow") (param i32 i32) (result i32 i32)
    (table.grow $a (ref.func $f) (local.get 0)) (table.grow $b (ref.func $f) (local.get 1))))
END
run run --engine "$ENGINE" --max-memory 64K --invoke grow tables.wasm 32768 0
exits 0
prints '^0$'
run run --engine "$ENGINE" --max-memory 64K --invoke grow tables.wasm 30000 5000
prints '^-1$'
run run --engine "$ENGINE" --max-memory 64K --invoke grow tables.wasm 1000000 30000
prints '^-1$'
prints '^0$'
