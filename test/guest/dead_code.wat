;; SPDX-License-Identifier: MIT
;; Code that is never reached: after br, return, unreachable and br_table, with the polymorphic stack
;; that validation gives it, nested blocks included.
(module
#include "print.inc"

  (func $after_br (result i32)
    (block (result i32)
      (br 0 (i32.const 1))
      (i32.add) (drop) (f64.const 1) (i64.trunc_f64_s) (i32.wrap_i64)
      (block (param i32) (result i32) (i32.const 1) (if (param i32) (result i32) (then) (else (i32.eqz))))
      (i32.mul (i32.const 3))))

  (func $after_return (param i32) (result i32)
    (return (local.get 0))
    (loop (result i32) (unreachable) (br_if 0 (i64.eqz)) (select) (call $i32) (br 0))
    (local.set 0) (local.tee 0))

  (func $after_table (param i32) (result i32)
    (block $a
      (block $b
        (br_table $a $b $a (local.get 0))
        (memory.grow) (drop) (call $f64) (unreachable) (i32.store))
      (return (i32.const 20)))
    (i32.const 10))

  (func $after_unreachable (param i32) (result i32)
    (if (local.get 0)
      (then (return (i32.const 5)))
      (else
        (block (unreachable) (drop) (i32.load8_u offset=0xffffffff) (br_if 0) (nop))
        (unreachable)))
    (block (result i32) (unreachable)))

  ;; A block whose end is reached only by branches, and one whose end is not reached at all.
  (func $only_branch (param i32) (result i32)
    (block $end (result i32)
      (loop $again
        (drop (br_if $end (i32.const 42) (i32.eqz (local.get 0))))
        (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
        (br $again))
      (unreachable)))

  (func $both_arms (param i32) (result i32)
    (block $out (result i32)
      (if (result i32) (local.get 0)
        (then (br $out (i32.const 1)))
        (else (return (i32.const 2))))
      (i32.const 3) (i32.add)))

  (func $_start (export "_start")
    (call $i32 (call $after_br))
    (call $i32 (call $after_return (i32.const 2)))
    (call $i32 (call $after_table (i32.const 0))) (call $i32 (call $after_table (i32.const 1)))
    (call $i32 (call $after_table (i32.const 9)))
    (call $i32 (call $after_unreachable (i32.const 1)))
    (call $i32 (call $only_branch (i32.const 3)))
    (call $i32 (call $both_arms (i32.const 0))) (call $i32 (call $both_arms (i32.const 1)))
    (return)
    (call $i32 (i32.const 0xdead))))
