;; SPDX-License-Identifier: MIT
;; call_indirect through an element that nobody set.
(module
  (table 3 funcref)
  (func $caller (param i32) (call_indirect (local.get 0)))
  (func $_start (export "_start") (call $caller (i32.const 2))))
