;; SPDX-License-Identifier: MIT
;; Calls with twenty-four parameters and eight results of mixed types, direct, indirect, recursive, and
;; with arguments that are themselves calls.
(module
#include "print.inc"
  (type $wide (func (param i32 i64 f32 f64 i32 i64 f32 f64 i32 i64 f32 f64 i32 i64 f32 f64 i32 i64 f32
                           f64 i32 i64 f32 f64) (result i32 f64 i64 f32 i32 f64 i64 f32)))
  (table funcref (elem $rotate $sums))

#define G(n) (local.get n)
  ;; Returns some of its parameters, from the far end of the list, in another order.
  (func $rotate (type $wide)
    G(20) G(23) G(21) G(22) G(0) G(3) G(1) G(2))

  (func $sums (type $wide)
    (i32.add (i32.add (i32.add G(0) G(4)) (i32.add G(8) G(12))) (i32.add G(16) G(20)))
    (f64.add (f64.add (f64.add G(3) G(7)) (f64.add G(11) G(15))) (f64.add G(19) G(23)))
    (i64.add (i64.add (i64.add G(1) G(5)) (i64.add G(9) G(13))) (i64.add G(17) G(21)))
    (f32.add (f32.add (f32.add G(2) G(6)) (f32.add G(10) G(14))) (f32.add G(18) G(22)))
    (i32.xor (i32.xor (i32.xor G(0) G(4)) (i32.xor G(8) G(12))) (i32.xor G(16) G(20)))
    (f64.mul G(3) G(23)) (i64.sub G(1) G(21)) (f32.sub G(2) G(22)))

#define FOUR(a, b, c, d) (i32.const a) (i64.const b) (f32.const c) (f64.const d)
#define ARGS FOUR(1, 2, 3, 4) FOUR(5, 6, 7, 8) FOUR(9, 10, 11, 12) FOUR(13, 14, 15, 16) \
  FOUR(17, 18, 19, 20) FOUR(21, 22, 23, 24)
#define SHOW                                                                  \
  (local.set $f) (local.set $l) (local.set $d) (local.set $i)                 \
  (call $f32 (local.get $f)) (call $i64 (local.get $l)) (call $f64 (local.get $d)) \
  (call $i32 (local.get $i))                                                  \
  (local.set $f) (local.set $l) (local.set $d) (local.set $i)                 \
  (call $f32 (local.get $f)) (call $i64 (local.get $l)) (call $f64 (local.get $d)) \
  (call $i32 (local.get $i))

  ;; Eight values kept on the operand stack across calls that need every argument register.
  (func $kept (param $n i32) (result i32)
    (local $i i32) (local $l i64) (local $f f32) (local $d f64)
    (if (i32.eqz (local.get $n)) (then (return (i32.const 1))))
    (i32.add (i32.mul (local.get $n) (i32.const 3))
      (i32.sub (i32.xor (local.get $n) (i32.const 0x55))
        (i32.add (call $kept (i32.sub (local.get $n) (i32.const 1)))
          (i32.mul (i32.const 2) (call $kept (i32.shr_u (local.get $n) (i32.const 1))))))))

  (func $twelve (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (i32.sub (i32.mul (local.get 0) (local.get 11))
      (i32.sub (i32.mul (local.get 1) (local.get 10))
        (i32.sub (i32.mul (local.get 2) (local.get 9))
          (i32.sub (i32.mul (local.get 3) (local.get 8))
            (i32.sub (i32.mul (local.get 4) (local.get 7))
              (i32.mul (local.get 5) (local.get 6))))))))

  (func $_start (export "_start")
    (local $i i32) (local $l i64) (local $f f32) (local $d f64)
    ARGS (call $rotate) SHOW
    ARGS (call $sums) SHOW
    ARGS (call_indirect (type $wide) (i32.const 0)) SHOW
    ARGS (call_indirect (type $wide) (i32.const 1)) SHOW
    (call $i32 (call $kept (i32.const 12)))
    (call $i32 (call $twelve (i32.const 1) (call $kept (i32.const 1)) (call $kept (i32.const 2))
      (i32.const 4) (call $kept (i32.const 3)) (i32.const 6) (call $kept (i32.const 4)) (i32.const 8)
      (i32.const 9) (call $kept (i32.const 5)) (i32.const 11) (call $kept (i32.const 6))))))
