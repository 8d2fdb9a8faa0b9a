# SPDX-License-Identifier: MIT
# engines: each
# --trap-unknown-imports: functions that nobody has trap when they are called, and only then; what was called is said.
wat calls <<'END'
(module (import "env" "absent" (func $absent (param i32 i64 f32 f64) (result i32)))
 (import "wasi_snapshot_preview1" "absent too" (func $other (result f64)))
 (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
 (memory (export "memory") 1)
 (func $count (result i32) (drop (call $sizes (i32.const 0) (i32.const 4))) (i32.load (i32.const 0)))
 (func (export "_start")
  (if (i32.eq (call $count) (i32.const 2))
   (then (drop (call $absent (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4)))))
  (if (i32.eq (call $count) (i32.const 3)) (then (drop (call $other))))))
END
run run --engine "$ENGINE" calls.wasm
exits 1
says 'env'
run run --engine "$ENGINE" --trap-unknown-imports calls.wasm
exits 0
silent
run run --engine "$ENGINE" --trap-unknown-imports calls.wasm one
exits 134
says '^nebulet: wasm trap: unreachable$'
says '^  nobody has what it calls: env\.absent$'
says '^  at _start \(calls\.wasm:0x'
run run --engine "$ENGINE" --trap-unknown-imports calls.wasm one two
exits 134
says 'nobody has what it calls: wasi_snapshot_preview1\.absent too$'
# Of what is known, nothing changes.
run run --engine "$ENGINE" --trap-unknown-imports "$GUESTS/hello.wasm"
exits 0
prints '^Hello, world$'
# A memory is no function.
wat memory <<'END'
(module (import "env" "memory" (memory 1)) (func (export "_start")))
END
run run --engine "$ENGINE" --trap-unknown-imports memory.wasm
exits 1
says 'env'
