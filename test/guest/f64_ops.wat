;; SPDX-License-Identifier: MIT
;; f64 operations at their edges: zeros of both signs, halves, the largest integers, denormals,
;; infinities and NaN, each with each; and where NaN bits are specified, the bits.
(module
#include "print.inc"

  (func $pair (param $a f64) (param $b f64)
    (call $f64 (f64.add (local.get $a) (local.get $b)))
    (call $f64 (f64.sub (local.get $a) (local.get $b)))
    (call $f64 (f64.mul (local.get $a) (local.get $b)))
    (call $f64 (f64.div (local.get $a) (local.get $b)))
    (call $f64 (f64.min (local.get $a) (local.get $b)))
    (call $f64 (f64.max (local.get $a) (local.get $b)))
    (call $i64 (i64.reinterpret_f64 (f64.copysign (local.get $a) (local.get $b))))
    ;; The six comparisons as one number, as values and as conditions.
    (call $i32
      (i32.or (i32.or
        (i32.or (f64.eq (local.get $a) (local.get $b))
                (i32.shl (f64.ne (local.get $a) (local.get $b)) (i32.const 4)))
        (i32.or (i32.shl (f64.lt (local.get $a) (local.get $b)) (i32.const 8))
                (i32.shl (f64.gt (local.get $a) (local.get $b)) (i32.const 12))))
        (i32.or (i32.shl (f64.le (local.get $a) (local.get $b)) (i32.const 16))
                (i32.shl (f64.ge (local.get $a) (local.get $b)) (i32.const 20)))))
    (if (f64.lt (local.get $a) (local.get $b)) (then (call $i32 (i32.const 1))))
    (if (i32.eqz (f64.ge (local.get $a) (local.get $b))) (then (call $i32 (i32.const 2))))
    (call $i32 (select (i32.const 3) (i32.const 4) (f64.ne (local.get $a) (local.get $b)))))

  (func $single (param $a f64)
    (call $f64 (f64.sqrt (local.get $a)))
    (call $f64 (f64.nearest (local.get $a)))
    (call $f64 (f64.ceil (local.get $a)))
    (call $f64 (f64.floor (local.get $a)))
    (call $f64 (f64.trunc (local.get $a)))
    (call $i64 (i64.reinterpret_f64 (f64.abs (local.get $a))))
    (call $i64 (i64.reinterpret_f64 (f64.neg (local.get $a)))))

#define WITH(a)                                                               \
  (call $single (f64.const a))                                                 \
  (call $pair (f64.const a) (f64.const 0)) (call $pair (f64.const a) (f64.const -0)) \
  (call $pair (f64.const a) (f64.const 1.5)) (call $pair (f64.const a) (f64.const -inf)) \
  (call $pair (f64.const a) (f64.const nan)) (call $pair (f64.const -3) (f64.const a)) \
  (call $pair (f64.const a) (f64.const a)) (call $pair (f64.const -nan) (f64.const a))

  (func $_start (export "_start")
    WITH(0) WITH(-0) WITH(0.5) WITH(-0.5) WITH(1.5) WITH(2.5) WITH(-2.5) WITH(-0.4999999) WITH(3.5)
    WITH(inf) WITH(-inf) WITH(0x1p-1074) WITH(-0x1.fffffffffffffp+1023) WITH(4503599627370495.5) WITH(2251799813685248.5)
    WITH(nan) WITH(-nan:0x4000000000001)))
