# SPDX-License-Identifier: MIT
# engines: each
# A thread that changes the table through which another calls itself for ever: the function that is called is the one
# whose type was looked at. ($victim would have a number for a reference.)
wat race <<'END'
(module
  (type $number (func (param i64)))
  (type $spawn (func (param i32 i32 i32) (result i64)))
  (import "nebulet" "thread_spawn" (func $spawn (type $spawn)))
  (memory (export "memory") 1)
  (table $t 8 funcref)
  (elem (i32.const 0) func $thief $tail)
  (elem declare func $victim)
  (func (export "_start")
    (drop (call $spawn (i32.const 0) (i32.const 0) (i32.const 0)))
    (call $tail (i64.const 0x414141414140)))
  (func $tail (param i64) (return_call_indirect (type $number) (local.get 0) (i32.const 1)))
  (func $thief (param i32)
    (table.set $t (i32.const 1) (ref.func $victim))
    (loop (br 0)))
  (func $victim (param funcref)
    (table.set $t (i32.const 2) (local.get 0))))
END
run run --engine "$ENGINE" race.wasm
exits 134
says 'wasm trap: indirect call type mismatch'
