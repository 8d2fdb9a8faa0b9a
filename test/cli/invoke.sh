# SPDX-License-Identifier: MIT
# engines: each
# --invoke calls an export with arguments of every type, and prints the results one a line.
wat lib <<'END'
(module
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "mul") (param i64 i64) (result i64) (i64.mul (local.get 0) (local.get 1)))
  (func (export "half") (param f64) (result f64) (f64.mul (local.get 0) (f64.const 0.5)))
  (func (export "swap") (param i32 i64) (result i64 i32) (local.get 1) (local.get 0))
  (func (export "fail") (unreachable))
  (func (export "nothing")))
END
run run --engine "$ENGINE" --invoke add lib.wasm 2 40
exits 0
prints '^42$'
run run --engine "$ENGINE" --invoke add lib.wasm -1 0x10
prints '^15$'
run run --engine "$ENGINE" --invoke mul lib.wasm 4294967296 -3
prints '^-12884901888$'
run run --engine "$ENGINE" --invoke half lib.wasm 5
prints '^2\.5'
run run --engine "$ENGINE" --invoke swap lib.wasm 1 2
prints '2'
prints '1'
run run --engine "$ENGINE" --invoke nothing lib.wasm
exits 0
[ ! -s out ] || fail "expected no output"
run run --engine "$ENGINE" --invoke fail lib.wasm
exits 134
run run --engine "$ENGINE" --invoke missing lib.wasm
exits 1
says missing
run run --engine "$ENGINE" --invoke add lib.wasm 1
exits 2
run run --engine "$ENGINE" --invoke add lib.wasm 1 text
exits 2
