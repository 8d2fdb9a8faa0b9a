;; SPDX-License-Identifier: MIT
;; Globals of all types, constant and mutable, and a function that runs as the start of the module.
(module
#include "print.inc"
  (global $i (mut i32) (i32.const -5))
  (global $l (mut i64) (i64.const 0x123456789abcdef0))
  (global $f (mut f32) (f32.const -0))
  (global $d (mut f64) (f64.const nan:0x8000000000123))
  (global $c i32 (i32.const 77))
  (global $many (export "many") (mut i32) (i32.const 0))
  (start $first)

  (func $first
    (global.set $many (i32.add (global.get $many) (i32.const 1)))
    (call $i32 (i32.const 0x57a27)))

  (func $bump (result i32)
    (global.set $i (i32.mul (global.get $i) (i32.const 3)))
    (global.get $i))

  (func $_start (export "_start")
    (local $n i32)
    (call $i32 (global.get $many)) (call $i32 (global.get $i)) (call $i64 (global.get $l))
    (call $i32 (i32.reinterpret_f32 (global.get $f))) (call $i64 (i64.reinterpret_f64 (global.get $d)))
    (call $i32 (global.get $c))
    ;; The operand is what the global was before the call changed it.
    (call $i32 (i32.sub (global.get $i) (call $bump)))
    (loop $again
      (global.set $l (i64.add (global.get $l) (i64.extend_i32_u (global.get $c))))
      (global.set $f (f32.add (global.get $f) (f32.const 0.5)))
      (global.set $d (f64.convert_i32_u (local.get $n)))
      (global.set $many (local.get $n))
      (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 100))))
    (call $i64 (global.get $l)) (call $f32 (global.get $f)) (call $f64 (global.get $d))
    (call $i32 (global.get $many))))
