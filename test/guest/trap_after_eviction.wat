;; SPDX-License-Identifier: MIT
;; A function that needs more registers than there are, after another such function. To say where it
;; called, an engine may compile it again, alone, and must come to the same code.
(module
  (func $before (local i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
    (local.set 9 (i32.add (local.get 12) (local.get 7)))
    (local.set 2 (i32.add (local.get 9) (local.get 11)))
    (local.set 3 (i32.add (local.get 4) (local.get 8)))
    (local.set 5 (i32.add (local.get 9) (local.get 3))))
  (func $stop (result i32) (unreachable))
  (func $start (export "_start") (local i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
    (local.set 3 (i32.add (local.get 12) (local.get 5)))
    (local.set 8 (i32.add (local.get 10) (local.get 9)))
    (local.set 7 (i32.add (local.get 0) (local.get 1)))
    (local.set 5 (i32.add (local.get 9) (local.get 10)))
    (local.set 0 (call $stop))))
