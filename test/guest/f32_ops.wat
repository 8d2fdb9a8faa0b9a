;; SPDX-License-Identifier: MIT
;; f32 operations at their edges: zeros of both signs, halves, the largest integers, denormals,
;; infinities and NaN, each with each; and where NaN bits are specified, the bits.
(module
#include "print.inc"

  (func $pair (param $a f32) (param $b f32)
    (call $f32 (f32.add (local.get $a) (local.get $b)))
    (call $f32 (f32.sub (local.get $a) (local.get $b)))
    (call $f32 (f32.mul (local.get $a) (local.get $b)))
    (call $f32 (f32.div (local.get $a) (local.get $b)))
    (call $f32 (f32.min (local.get $a) (local.get $b)))
    (call $f32 (f32.max (local.get $a) (local.get $b)))
    (call $i32 (i32.reinterpret_f32 (f32.copysign (local.get $a) (local.get $b))))
    ;; The six comparisons as one number, as values and as conditions.
    (call $i32
      (i32.or (i32.or
        (i32.or (f32.eq (local.get $a) (local.get $b))
                (i32.shl (f32.ne (local.get $a) (local.get $b)) (i32.const 4)))
        (i32.or (i32.shl (f32.lt (local.get $a) (local.get $b)) (i32.const 8))
                (i32.shl (f32.gt (local.get $a) (local.get $b)) (i32.const 12))))
        (i32.or (i32.shl (f32.le (local.get $a) (local.get $b)) (i32.const 16))
                (i32.shl (f32.ge (local.get $a) (local.get $b)) (i32.const 20)))))
    (if (f32.lt (local.get $a) (local.get $b)) (then (call $i32 (i32.const 1))))
    (if (i32.eqz (f32.ge (local.get $a) (local.get $b))) (then (call $i32 (i32.const 2))))
    (call $i32 (select (i32.const 3) (i32.const 4) (f32.ne (local.get $a) (local.get $b)))))

  (func $single (param $a f32)
    (call $f32 (f32.sqrt (local.get $a)))
    (call $f32 (f32.nearest (local.get $a)))
    (call $f32 (f32.ceil (local.get $a)))
    (call $f32 (f32.floor (local.get $a)))
    (call $f32 (f32.trunc (local.get $a)))
    (call $i32 (i32.reinterpret_f32 (f32.abs (local.get $a))))
    (call $i32 (i32.reinterpret_f32 (f32.neg (local.get $a)))))

#define WITH(a)                                                               \
  (call $single (f32.const a))                                                 \
  (call $pair (f32.const a) (f32.const 0)) (call $pair (f32.const a) (f32.const -0)) \
  (call $pair (f32.const a) (f32.const 1.5)) (call $pair (f32.const a) (f32.const -inf)) \
  (call $pair (f32.const a) (f32.const nan)) (call $pair (f32.const -3) (f32.const a)) \
  (call $pair (f32.const a) (f32.const a)) (call $pair (f32.const -nan) (f32.const a))

  (func $_start (export "_start")
    WITH(0) WITH(-0) WITH(0.5) WITH(-0.5) WITH(1.5) WITH(2.5) WITH(-2.5) WITH(-0.4999999) WITH(3.5)
    WITH(inf) WITH(-inf) WITH(0x1p-149) WITH(-0x1.fffffep+127) WITH(8388607.5) WITH(4194304.5)
    WITH(nan) WITH(-nan:0x200001)))
