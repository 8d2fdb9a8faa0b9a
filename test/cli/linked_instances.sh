# SPDX-License-Identifier: MIT
# engines: each
# Instances that call each other, through imports and tables, with stack arguments and several results;
# traps and full stacks in the middle of that, and calls afterwards.
cat >linked.wast <<'END'
(module $A
  (memory (export "mem") 1)
  (table (export "tab") 8 funcref)
  (global (export "g") (mut i32) (i32.const 3))
  (type $t (func (param i32 i64 f32 f64 i32 i32 i32 i32 i64 i64 f64) (result i32 i64 f64)))
  (func (export "many") (param i32 i64 f32 f64 i32 i32 i32 i32 i64 i64 f64) (result i32 i64 f64)
    (i32.store (i32.const 0) (local.get 7))
    (i32.add (local.get 6) (local.get 7)) (i64.sub (local.get 8) (local.get 9)) (f64.add (local.get 3) (local.get 10)))
  (func (export "trapper") (param i32) (result i32) (i32.load (local.get 0)))
  (func $rec (export "rec") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
     (call_indirect (param i32 i32 i32 i32 i32 i32 i32) (result i32)
        (local.get 0)(local.get 0)(local.get 0)(local.get 0)(local.get 0)(local.get 0) (i32.const 7) (i32.const 1)))
  (elem (i32.const 0) $rec)
  (func (export "peek") (result i32) (i32.load (i32.const 0)))
  (func (export "size") (result i32) (memory.size))
  (func (export "growA") (param i32) (result i32) (memory.grow (local.get 0)))
)
(register "A" $A)
(module $B
  (import "A" "tab" (table 8 funcref))
  (import "A" "many" (func $many (param i32 i64 f32 f64 i32 i32 i32 i32 i64 i64 f64) (result i32 i64 f64)))
  (import "A" "trapper" (func $trapper (param i32) (result i32)))
  (import "A" "rec" (func $rec (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "A" "growA" (func $growA (param i32) (result i32)))
  (memory 2)
  (data (i32.const 0) "\11\22\33\44")
  (func $back (param i32 i32 i32 i32 i32 i32 i32) (result i32) (call $rec (local.get 0)(local.get 1)(local.get 2)(local.get 3)(local.get 4)(local.get 5)(local.get 6)))
  (elem (i32.const 1) $back)
  (func (export "callmany") (result i32 i64 f64)
    (call $many (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4) (i32.const 5) (i32.const 6) (i32.const 7) (i32.const -8) (i64.const 9) (i64.const 10) (f64.const 11)))
  (func (export "peekB") (result i32) (i32.load (i32.const 0)))
  (func (export "trapB") (param i32) (result i32) (i32.add (call $trapper (local.get 0)) (i32.load (i32.const 0))))
  (func (export "recB") (result i32) (call $rec (i32.const 1)(i32.const 1)(i32.const 1)(i32.const 1)(i32.const 1)(i32.const 1)(i32.const 1)))
  (func (export "growthrough") (result i32) (drop (call $growA (i32.const 3))) (memory.size))
)
(assert_return (invoke $B "callmany") (i32.const -1) (i64.const -1) (f64.const 15))
(assert_return (invoke $A "peek") (i32.const -8))
(assert_return (invoke $B "peekB") (i32.const 0x44332211))
(assert_trap (invoke $B "trapB" (i32.const 65533)) "out of bounds memory access")
(assert_return (invoke $B "peekB") (i32.const 0x44332211))
(assert_trap (invoke $B "trapB" (i32.const 70000)) "out of bounds memory access")
(assert_exhaustion (invoke $B "recB") "call stack exhausted")
(assert_return (invoke $B "peekB") (i32.const 0x44332211))
(assert_exhaustion (invoke $A "rec" (i32.const 1)(i32.const 1)(i32.const 1)(i32.const 1)(i32.const 1)(i32.const 1)(i32.const 1)) "call stack exhausted")
(assert_return (invoke $B "callmany") (i32.const -1) (i64.const -1) (f64.const 15))
(assert_return (invoke $B "growthrough") (i32.const 2))
(assert_return (invoke $A "size") (i32.const 4))
(assert_return (invoke $B "trapB" (i32.const 70000)) (i32.const 0x44332211))
;; instance whose segment traps stays alive in the table
(assert_trap (module
  (import "A" "tab" (table 8 funcref))
  (memory 1)
  (func $z (param i32) (result i32) (i32.load (i32.const 0)))
  (elem (i32.const 4) $z)
  (data (i32.const 65536) "x")) "out of bounds memory access")
(module $C (import "A" "tab" (table 8 funcref))
  (func (export "c") (result i32) (call_indirect (param i32) (result i32) (i32.const 5) (i32.const 4))))
(assert_return (invoke $C "c") (i32.const 0))
;; host functions in tables
(module $H (import "spectest" "print_i32_f32" (func $p (param i32 f32))) (import "spectest" "print_f64_f64" (func $q (param f64 f64)))
  (table 4 funcref) (elem (i32.const 0) $p $q)
  (export "p" (func $p))
  (func (export "h") (result i32) (local i32) (local.set 0 (i32.const 5)) (call_indirect (param i32 f32) (i32.const 1) (f32.const 2) (i32.const 0)) (call_indirect (param f64 f64) (f64.const 1) (f64.const 2) (i32.const 1)) (local.get 0))
  (func $r (export "r") (result i32) (call_indirect (param i32 f32) (i32.const 1) (f32.const 2) (i32.const 0)) (i32.add (i32.const 1) (call $r))))
(assert_return (invoke $H "h") (i32.const 5))
(invoke $H "p" (i32.const 1) (f32.const 2))
(assert_exhaustion (invoke $H "r") "call stack exhausted")
(assert_return (invoke $H "h") (i32.const 5))
;; imported immutable/mutable globals, memory import growth
(module $M (import "A" "mem" (memory 1)) (import "A" "growA" (func $g (param i32) (result i32)))
  (func (export "m") (result i32) (i32.store (i32.const 262144) (i32.const 9)) (i32.const 1))
  (func (export "gm") (result i32) (local i32) (drop (memory.grow (i32.const 0))) (drop (call $g (i32.const 1))) (i32.store (i32.const 262144) (i32.const 9)) (i32.load (i32.const 262144))))
(assert_trap (invoke $M "m") "out of bounds memory access")
(assert_return (invoke $M "gm") (i32.const 9))
END
wast2json linked.wast -o linked.json
run wast --engine "$ENGINE" linked.json
exits 0
prints '^27 passed, 0 failed'
