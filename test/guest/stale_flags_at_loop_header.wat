;; SPDX-License-Identifier: MIT
;; Before the loop the flags are those of x, which stays in a register; on the way back they are those
;; of another local. The test at the loop's head must not use either.
(module
  (func $sum (param $x i32) (result i32) (local $total i32)
    (local.set $total (i32.add (local.get $x) (local.get $x)))
    (local.set $x (i32.sub (local.get $x) (i32.const 1)))
    (loop $again
      (if (local.get $x)
        (then
          (local.set $x (i32.sub (local.get $x) (i32.const 1)))
          (local.set $total (i32.sub (local.get $total) (i32.const 1)))
          (br $again))))
    (local.get $total))
  (func (export "_start")
    (if (i32.ne (call $sum (i32.const 7)) (i32.const 8)) (then unreachable))
    (if (i32.ne (call $sum (i32.const 1)) (i32.const 2)) (then unreachable))))
