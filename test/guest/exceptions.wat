;; SPDX-License-Identifier: MIT
;; Exceptions in their older form: what catches what, what is dropped on the way, and that locals,
;; operands below and values on the stack are what they were.
(module
#include "print.inc"
  (tag $e0)
  (tag $e1 (param i32))
  (tag $many (param i64 f32 i32 f64 v128 i32 i32 i64 f64 f64 i32 i32))
  (type $fn (func (param i32) (result i32)))
  (table funcref (elem $throws $recurses $catches_other))
  (global $count (mut i32) (i32.const 0))

  (func $throws (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (throw $e0)))
    (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $e1 (i32.const 11))))
    (if (i32.eq (local.get 0) (i32.const 2))
      (then (throw $many (i64.const 1) (f32.const 2.5) (i32.const 3) (f64.const 4.5)
              (v128.const i32x4 5 6 7 8) (i32.const 9) (i32.const 10) (i64.const 11) (f64.const 12.5)
              (f64.const 13.5) (i32.const 14) (local.get 0))))
    (i32.mul (local.get 0) (i32.const 100)))
  (func $recurses (param i32) (result i32)
    (if (result i32) (i32.gt_u (local.get 0) (i32.const 20000))
      (then (throw $e1 (local.get 0)))
      (else (i32.add (i32.const 1) (call $recurses (i32.add (local.get 0) (i32.const 1)))))))
  ;; More arguments than registers, and results on the stack: what is left when nobody comes back.
  (func $wide (param i32 i64 i64 i64 i64 i64 i64 i64 f64 v128) (result i32 i64 v128)
    (call $throws (local.get 0)) (local.get 7) (local.get 9))
  (func $catches_other (param i32) (result i32)
    (try (result i32) (do (call $throws (local.get 0))) (catch $e0 (i32.const -7))))

  (func $which (param $n i32) (result i32)
    (i32.const 1000)
    (try (result i32)
      (do (call_indirect (type $fn) (local.get $n) (i32.const 0)))
      (catch $e0 (i32.const 1))
      (catch $e1)
      (catch $many drop drop drop drop drop drop drop i32x4.extract_lane 2 local.set $n
        drop drop drop drop (local.get $n))
      (catch_all (i32.const 3)))
    (i32.add))

  ;; Locals in registers, changed before and after each call.
  (func $locals (param $n i32) (result i32) (local $a i32) (local $b i32) (local $c f64) (local $i i32)
    (loop $l
      (try
        (do
          (local.set $a (i32.add (local.get $a) (local.get $i)))
          (drop (call $throws (i32.add (local.get $i) (i32.const 3))))
          (local.set $b (i32.add (local.get $b) (local.get $a)))
          (drop (call $throws (i32.rem_u (local.get $i) (i32.const 5))))
          (local.set $c (f64.add (local.get $c) (f64.const 1))))
        (catch $e1 (local.set $a (i32.sub (local.get $a))))
        (catch_all (local.set $b (i32.xor (local.get $b) (local.get $a)))))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (i32.add (i32.add (local.get $a) (local.get $b)) (i32.trunc_f64_s (local.get $c))))

  ;; From an inner handler the outer one's exception; a finally around it.
  (func $again (param $n i32) (result i32)
    (try (result i32)
      (do
        (try (result i32)
          (do (call $throws (local.get $n)))
          (catch_all
            (try (do (throw $e0))
              (catch $e0 (global.set $count (i32.add (global.get $count) (i32.const 1)))
                (rethrow 1)))
            (i32.const -1))))
      (catch $e1 (i32.add (i32.const 500)))
      (catch $e0 (i32.const 600))))

  (func $delegates (param $n i32) (result i32)
    (try $outer (result i32)
      (do
        (try (result i32)
          (do
            (try (result i32)
              (do (call $throws (local.get $n)))
              (delegate $outer)))
          (catch_all (i32.const -1))))
      (catch $e0 (i32.const 71))
      (catch $e1 (i32.add (i32.const 60)))))

  ;; To the caller, past the handler around it.
  (func $to_caller (param $n i32) (result i32)
    (try (result i32)
      (do (try (result i32) (do (call $throws (local.get $n))) (delegate 1)))
      (catch_all (i32.const -1))))
  (func $caller (param $n i32) (result i32)
    (try (result i32) (do (call $to_caller (local.get $n))) (catch_all (i32.const 81))))

  (func $stack (param $n i32) (result i32) (local $r i32)
    (try
      (do
        (call $wide (local.get $n) (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)
          (i64.const 5) (i64.const 6) (i64.const 7) (f64.const 8) (v128.const i64x2 9 10))
        (drop) (call $i64) (local.set $r))
      (catch $e1 (local.set $r (i32.add (i32.const 1))))
      (catch_all (local.set $r (i32.const 2))))
    (local.get $r))

  ;; Leaves a handler by a branch, and with results.
  (func $leaves (param $n i32) (result i32)
    (block $out (result i32)
      (loop $l (result i32)
        (try (result i32)
          (do (call $throws (local.get $n)))
          (catch_all
            (br_if $out (i32.const 91) (i32.gt_u (local.get $n) (i32.const 1)))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br $l))))))

  ;; Each leaves one that might be thrown again, and is forgotten.
  (func $forgets (param $n i32) (result i32)
    (loop $l
      (try
        (do (drop (call $throws (i32.const 1))))
        (catch $e1 (drop)
          (if (i32.eqz (local.get $n)) (then (rethrow 1)))))
      (br_if $l (i32.gt_s (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 0))))
    (local.get $n))

  (func (export "_start")
#define TRY(f, n) (call $i32 (call f (i32.const n)))
    TRY($which, 0) TRY($which, 1) TRY($which, 2)
    TRY($locals, 17)
    TRY($again, 0) TRY($again, 1) (call $i32 (global.get $count))
    TRY($delegates, 0) TRY($delegates, 1) TRY($delegates, 3)
    TRY($caller, 0) TRY($caller, 1) TRY($caller, 4)
    TRY($stack, 0) TRY($stack, 1) TRY($stack, 5)
    TRY($leaves, 0) TRY($leaves, 1) TRY($leaves, 6)
    TRY($forgets, 1000000)
    (call $i32 (try (result i32) (do (call_indirect (type $fn) (i32.const 1) (i32.const 2))) (catch $e1)))
    (call $i32 (try (result i32) (do (call $recurses (i32.const 0))) (catch $e1)))))
