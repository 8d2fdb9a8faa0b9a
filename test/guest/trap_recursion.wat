;; SPDX-License-Identifier: MIT
;; Endless recursion with values on the stack and many locals: a clean trap.
(module
  (func $endless (param i32 i64 f64) (result i32) (local i64 i64 i64 i64 f64 f64 f64 f64)
    (local.set 3 (i64.add (local.get 1) (i64.const 1)))
    (i32.add (local.get 0)
      (i32.add (call $endless (i32.add (local.get 0) (i32.const 1)) (local.get 3) (local.get 2))
        (i32.wrap_i64 (local.get 3)))))
  (func $_start (export "_start") (drop (call $endless (i32.const 0) (i64.const 0) (f64.const 0)))))
