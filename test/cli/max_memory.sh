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
