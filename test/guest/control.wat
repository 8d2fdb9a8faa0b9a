;; SPDX-License-Identifier: MIT
;; Blocks, ifs and loops with parameters and results; branches that carry values through several
;; levels, with other values below them on the stack that must go.
(module
#include "print.inc"

  (func $swap (param i32 i64) (result i64 i32)
    (local.get 1) (local.get 0))

  ;; Both arms change all three values; the block type has parameters and results.
  (func $if_params (param $c i32) (result i32)
    (i32.const 10) (i64.const 20) (f64.const 0.5) (local.get $c)
    (if (param i32 i64 f64) (result i32)
      (then (i64.trunc_f64_s) (i64.sub) (i32.wrap_i64) (i32.add))
      (else (drop) (i32.wrap_i64) (i32.mul))))

  (func $if_nested (param $n i32) (result i32)
    (if (result i32) (i32.lt_u (local.get $n) (i32.const 4))
      (then
        (if (result i32) (i32.and (local.get $n) (i32.const 1))
          (then (if (result i32) (i32.gt_u (local.get $n) (i32.const 2))
            (then (i32.const 33)) (else (i32.const 11))))
          (else (if (result i32) (local.get $n) (then (i32.const 22)) (else (i32.const 0))))))
      (else
        (i32.add (i32.const 1000)
          (if (result i32) (i32.eqz (i32.rem_u (local.get $n) (i32.const 3)))
            (then (i32.mul (local.get $n) (i32.const 3)))
            (else (return (i32.sub (i32.const 0) (local.get $n)))))))))

  ;; Fibonacci with the state on the stack, not in locals.
  (func $loop_params (param $n i32) (result i64)
    (i64.const 0) (i64.const 1)
    (loop $next (param i64 i64) (result i64)
      (call $step)
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1))))
      (drop)))

  (func $step (param i64 i64) (result i64 i64)
    (local.get 1) (i64.add (local.get 0) (local.get 1)))

  ;; A branch with two values out of three levels, rubbish left at each.
  (func $unwind (param $c i32) (result i32 f32)
    (block $out (result i32 f32)
      (i64.const 99)
      (block (result i32)
        (i32.const 1) (i32.const 2)
        (loop (result i32)
          (f64.const 3.5)
          (br_if $out (i32.const 77) (f32.const 1.25) (local.get $c))
          (drop) (drop) (drop)
          (i32.const 5))
        (drop) (i32.add))
      (drop) (drop)
      (i32.const 88) (f32.const -1)))

  ;; br_if leaves its operands when it does not branch.
  (func $keeps (param $c i32) (result i32)
    (block $b (result i32)
      (i32.add (br_if $b (i32.const 5) (local.get $c)) (i32.const 100))))

  (func $select (param $c i32)
    (call $i32 (select (i32.const 1) (i32.const 2) (local.get $c)))
    (call $i64 (select (i64.const 3) (i64.const 4) (local.get $c)))
    (call $f32 (select (f32.const 5) (f32.const 6) (local.get $c)))
    (call $f64 (select (result f64) (f64.const 7) (f64.const 8) (local.get $c)))
    ;; The condition is a comparison, a constant, and the value chosen itself.
    (call $i32 (select (local.get $c) (i32.const -1) (i32.gt_s (local.get $c) (i32.const 0))))
    (call $i64 (select (i64.const 9) (i64.const 10) (i64.eqz (i64.extend_i32_u (local.get $c)))))
    (call $f64 (select (f64.const 1) (f64.const 2) (f64.lt (f64.const nan) (f64.const 1))))
    (call $i32 (select (local.get $c) (local.get $c) (local.get $c))))

  ;; Values on the stack keep what a local was when it was read, also when it is set later.
  (func $stale (param $x i32) (result i32)
    (local.get $x)
    (local.set $x (i32.const 100))
    (local.get $x)
    (local.set $x (i32.const 10000))
    (i32.add)
    (if (param i32) (result i32) (i32.eqz (local.get $x))
      (then) (else (local.set $x (i32.const 7)) (i32.add (local.get $x))))
    (local.get $x) (local.tee $x (i32.const 3)) (local.get $x) (i32.mul) (i32.add) (i32.add))

  (func $loops (param $n i32) (result i32)
    (local $i i32) (local $j i32) (local $sum i32)
    (block $done
      (loop $outer
        (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
        (local.set $j (i32.const 0))
        (block $skip
          (loop $inner
            (br_if $skip (i32.gt_u (local.get $j) (local.get $i)))
            (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 3))
              (i32.xor (local.get $i) (local.get $j))))
            (local.set $j (i32.add (local.get $j) (i32.const 1)))
            (br_if $inner (i32.rem_u (local.get $sum) (i32.const 7)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $outer)))
    (local.get $sum))

  (func $_start (export "_start")
    (local $l i64) (local $f f32)
    (call $swap (i32.const 1) (i64.const 2)) (call $i32) (call $i64)
    (call $i32 (call $if_params (i32.const 0))) (call $i32 (call $if_params (i32.const 1)))
    (call $i32 (call $if_nested (i32.const 0))) (call $i32 (call $if_nested (i32.const 1)))
    (call $i32 (call $if_nested (i32.const 2))) (call $i32 (call $if_nested (i32.const 3)))
    (call $i32 (call $if_nested (i32.const 9))) (call $i32 (call $if_nested (i32.const 10)))
    (call $i64 (call $loop_params (i32.const 1))) (call $i64 (call $loop_params (i32.const 80)))
    (call $unwind (i32.const 0)) (call $f32) (call $i32)
    (call $unwind (i32.const 1)) (call $f32) (call $i32)
    (call $i32 (call $keeps (i32.const 0))) (call $i32 (call $keeps (i32.const 1)))
    (call $select (i32.const 0)) (call $select (i32.const 1)) (call $select (i32.const -7))
    (call $i32 (call $stale (i32.const 1)))
    (call $i32 (call $loops (i32.const 40)))))
