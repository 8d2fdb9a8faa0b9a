;; SPDX-License-Identifier: MIT
;; Bulk memory: fill, copy with overlap both ways, init from passive segments, drop; lengths of zero
;; at the very end.
(module
#include "print.inc"
  (data $text "abcdefghijklmnop")
  (data (i32.const 1000) "0123456789")
  (data $empty "")

  (func $show (param $at i32) (param $words i32)
    (loop $next
      (call $i64 (i64.load (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $next (local.tee $words (i32.sub (local.get $words) (i32.const 1))))))

  (func $sum (param $from i32) (param $to i32) (result i32)
    (local $s i32)
    (loop $next
      (local.set $s (i32.add (i32.mul (local.get $s) (i32.const 31)) (i32.load8_u (local.get $from))))
      (br_if $next (i32.lt_u (local.tee $from (i32.add (local.get $from) (i32.const 1)))
        (local.get $to))))
    (local.get $s))

  ;; Every length from 0 to 40, for the short forms that a compiler may have.
  (func $lengths
    (local $n i32)
    (loop $next
      (memory.fill (i32.const 2000) (i32.const 0xee) (i32.const 128))
      (memory.fill (i32.add (i32.const 2000) (local.get $n)) (local.get $n) (local.get $n))
      (memory.copy (i32.const 2050) (i32.const 2000) (local.get $n))
      (memory.copy (i32.const 2003) (i32.const 2000) (local.get $n))
      (memory.copy (i32.const 2097) (i32.const 2100) (local.get $n))
      (call $i32 (call $sum (i32.const 2000) (i32.const 2200)))
      (br_if $next (i32.le_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 40)))))

  (func $_start (export "_start")
    (memory.init $text (i32.const 0) (i32.const 2) (i32.const 10)) (call $show (i32.const 0) (i32.const 2))
    (memory.copy (i32.const 3) (i32.const 0) (i32.const 12)) (call $show (i32.const 0) (i32.const 2))
    (memory.copy (i32.const 0) (i32.const 1) (i32.const 14)) (call $show (i32.const 0) (i32.const 2))
    (memory.fill (i32.const 1) (i32.const 0x1ff) (i32.const 6)) (call $show (i32.const 0) (i32.const 2))
    (memory.copy (i32.const 5) (i32.const 1000) (i32.const 10)) (call $show (i32.const 0) (i32.const 2))
    (memory.fill (i32.const 16) (i32.const -1) (i32.const 16)) (call $show (i32.const 16) (i32.const 2))
    (memory.fill (i32.const 0x20000) (i32.const 1) (i32.const 0))
    (memory.copy (i32.const 0x20000) (i32.const 0x20000) (i32.const 0))
    (memory.init $text (i32.const 0x20000) (i32.const 16) (i32.const 0))
    (memory.init $empty (i32.const 0) (i32.const 0) (i32.const 0))
    (data.drop $text)
    (memory.init $text (i32.const 0) (i32.const 0) (i32.const 0))
    (data.drop $text)
    (memory.fill (i32.const 0x8000) (i32.const 0xa5) (i32.const 0x8001))
    (memory.copy (i32.const 0x8123) (i32.const 0x7ff0) (i32.const 0x8000))
    (call $i32 (call $sum (i32.const 0x7fe0) (i32.const 0x10200)))
    (call $lengths)))
