;; SPDX-License-Identifier: MIT
;; br_table: none, one, and two thousand targets, with and without values, backwards and outwards,
;; and every kind of index that is out of range.
(module
#include "print.inc"

#define TEN(x) x x x x x x x x x x
#define HUNDRED(x) TEN(TEN(x))

  ;; 2000 targets: five in turn, then the default.
  (func $large (param $n i32) (result i32)
    (block $d (block $e (block $c (block $b (block $a
      (br_table HUNDRED($a $b $c $e) HUNDRED($b $b $a $c) HUNDRED($c $a $e $b) HUNDRED($e $e $a $a)
                HUNDRED($a $c $b $e) $d (local.get $n)))
      (return (i32.const 1))) (return (i32.const 2))) (return (i32.const 3))) (return (i32.const 4)))
    (i32.const 5))

  (func $values (param $n i32) (result i32)
    (block $two (result i32)
      (block $one (result i32)
        (block $zero (result i32)
          (i32.const 1000) (i64.const 7)
          (br_table $zero $one $two $one (i32.const 10) (local.get $n)))
        (i32.add (i32.const 100)))
      (i32.add (i32.const 100))))

  (func $pair (param $n i32) (result i64)
    (local $a i64) (local $b f64)
    (block $y (result i64 f64)
      (block $x (result i64 f64)
        (i64.const 1) (f64.const 2) (br_table $x $y $x (local.get $n)))
      (local.set $b) (local.set $a)
      (i64.add (local.get $a) (i64.const 10)) (f64.mul (local.get $b) (f64.const 4)))
    (i64.trunc_f64_s) (i64.shl (i64.const 32)) (i64.add))

  ;; A machine whose states are the targets: backwards to the loop, outwards to the end.
  (func $machine (param $state i32) (result i32)
    (local $trail i32)
    (block $end
      (loop $run
        (local.set $trail (i32.add (i32.mul (local.get $trail) (i32.const 10)) (local.get $state)))
        (block $three
          (block $two
            (block $one
              (br_table $end $one $two $three $run (local.get $state)))
            (local.set $state (i32.const 3)) (br $run))
          (local.set $state (i32.const 0)) (br $run))
        (local.set $state (i32.const 2)) (br $run)))
    (local.get $trail))

  (func $empty (param $n i32) (result i32)
    (block (br_table 0 (local.get $n)) (return (i32.const 1)))
    (i32.const 2))

  (func $_start (export "_start")
    (call $i32 (call $large (i32.const 0)))
    (call $i32 (call $large (i32.const 1)))
    (call $i32 (call $large (i32.const 2)))
    (call $i32 (call $large (i32.const 3)))
    (call $i32 (call $large (i32.const 4)))
    (call $i32 (call $large (i32.const 399)))
    (call $i32 (call $large (i32.const 400)))
    (call $i32 (call $large (i32.const 401)))
    (call $i32 (call $large (i32.const 799)))
    (call $i32 (call $large (i32.const 800)))
    (call $i32 (call $large (i32.const 801)))
    (call $i32 (call $large (i32.const 1200)))
    (call $i32 (call $large (i32.const 1203)))
    (call $i32 (call $large (i32.const 1600)))
    (call $i32 (call $large (i32.const 1603)))
    (call $i32 (call $large (i32.const 1998)))
    (call $i32 (call $large (i32.const 1999)))
    (call $i32 (call $large (i32.const 2000)))
    (call $i32 (call $large (i32.const 2001)))
    (call $i32 (call $large (i32.const -1)))
    (call $i32 (call $large (i32.const 0x80000000)))
    (call $i32 (call $values (i32.const 0)))
    (call $i64 (call $pair (i32.const 0)))
    (call $i32 (call $values (i32.const 1)))
    (call $i64 (call $pair (i32.const 1)))
    (call $i32 (call $values (i32.const 2)))
    (call $i64 (call $pair (i32.const 2)))
    (call $i32 (call $values (i32.const 3)))
    (call $i64 (call $pair (i32.const 3)))
    (call $i32 (call $values (i32.const -1)))
    (call $i64 (call $pair (i32.const -1)))
    (call $i32 (call $machine (i32.const 0)))
    (call $i32 (call $machine (i32.const 1)))
    (call $i32 (call $machine (i32.const 2)))
    (call $i32 (call $machine (i32.const 3)))
    (call $i32 (call $empty (i32.const 0))) (call $i32 (call $empty (i32.const -1)))))
