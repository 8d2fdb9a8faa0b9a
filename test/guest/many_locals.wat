;; SPDX-License-Identifier: MIT
;; Two hundred and fifty locals of all types, all live across a loop and calls.
(module
#include "print.inc"

#define TEN(x, n) x(n##0) x(n##1) x(n##2) x(n##3) x(n##4) x(n##5) x(n##6) x(n##7) x(n##8) x(n##9)
#define ALL(x) TEN(x, 1) TEN(x, 2) TEN(x, 3) TEN(x, 4) TEN(x, 5)
#define DECLARE(n) (local $i##n i32) (local $l##n i64) (local $f##n f32) (local $d##n f64) (local $z##n i64)
#define SET(n)                                                                \
  (local.set $i##n (i32.add (local.get $seed) (i32.const n)))                 \
  (local.set $l##n (i64.mul (i64.extend_i32_u (local.get $i##n)) (i64.const 0x100000001))) \
  (local.set $f##n (f32.convert_i32_s (local.get $i##n)))                     \
  (local.set $d##n (f64.div (f64.const n) (f64.convert_i32_s (local.get $i##n))))
#define STEP(n)                                                               \
  (local.set $i##n (i32.rotl (local.get $i##n) (i32.const n)))                \
  (local.set $l##n (i64.add (local.get $l##n) (i64.extend_i32_s (local.get $i##n)))) \
  (local.set $f##n (f32.add (local.get $f##n) (f32.const n)))                 \
  (local.set $d##n (f64.mul (local.get $d##n) (f64.const 1.0625)))            \
  (local.set $z##n (i64.xor (local.get $z##n) (local.get $l##n)))
#define SUM(n)                                                                \
  (local.set $is (i32.add (i32.mul (local.get $is) (i32.const 31)) (local.get $i##n))) \
  (local.set $ls (i64.add (i64.mul (local.get $ls) (i64.const 31)) (i64.add (local.get $l##n) (local.get $z##n)))) \
  (local.set $fs (f32.add (local.get $fs) (local.get $f##n)))                 \
  (local.set $ds (f64.add (local.get $ds) (local.get $d##n)))

  (func $work (param $seed i32) (param $rounds i32) (result i64)
    (local $is i32) (local $ls i64) (local $fs f32) (local $ds f64)
    ALL(DECLARE)
    ALL(SET)
    (loop $again
      ALL(STEP)
      ;; A call in the middle: whatever lives in registers must survive it.
      (if (i32.eqz (i32.rem_u (local.get $rounds) (i32.const 10)))
        (then (call $i32 (local.get $i35))))
      (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
    ALL(SUM)
    (call $i32 (local.get $is)) (call $i64 (local.get $ls))
    (call $f32 (local.get $fs)) (call $f64 (local.get $ds))
    (local.get $ls))

  (func $_start (export "_start")
    (call $i64 (call $work (i32.const 7) (i32.const 50)))
    (call $i64 (call $work (i32.const 0x10000) (i32.const 1)))))
