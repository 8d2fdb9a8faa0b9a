;; SPDX-License-Identifier: MIT
;; call_indirect to a function of another type.
(module
  (type $wanted (func (param i64) (result i32)))
  (table funcref (elem $other))
  (func $other (param i32) (result i32) (local.get 0))
  (func $caller (param i32) (result i32)
    (call_indirect (type $wanted) (i64.const 1) (local.get 0)))
  (func $_start (export "_start") (drop (call $caller (i32.const 0)))))
