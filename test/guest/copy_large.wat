;; SPDX-License-Identifier: MIT
;; Large fills and copies are done in pieces: overlapping ones in both directions, with odd sizes.
(module
  (memory 1024)
  (func $number (param $at i32) (param $end i32)
    (loop $next
      (i32.store (local.get $at) (local.get $at))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4096))) (local.get $end)))))
  (func $expect (param $at i32) (param $value i32)
    (if (i32.ne (i32.load (local.get $at)) (local.get $value)) (then (unreachable))))
  (func $check (param $at i32) (param $end i32) (param $shift i32)
    (loop $next
      (call $expect (i32.add (local.get $at) (local.get $shift)) (local.get $at))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4096))) (local.get $end)))))
  (func (export "_start")
    (call $number (i32.const 65536) (i32.const 50000000))
    (memory.copy (i32.const 73731) (i32.const 65536) (i32.const 49934468))
    (call $check (i32.const 65536) (i32.const 50000000) (i32.const 8195))
    (memory.copy (i32.const 61) (i32.const 73731) (i32.const 49934468))
    (call $check (i32.const 65536) (i32.const 50000000) (i32.const -65475))
    (memory.fill (i32.const 5) (i32.const 0x1ab) (i32.const 67108859))
    (call $expect (i32.const 4) (i32.const 0xababab00))
    (call $expect (i32.const 16777217) (i32.const 0xabababab))
    (call $expect (i32.const 67108860) (i32.const 0xabababab))))
