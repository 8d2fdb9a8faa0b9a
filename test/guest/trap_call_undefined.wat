;; SPDX-License-Identifier: MIT
;; call_indirect beyond the end of the table.
(module
  (table 3 funcref)
  (func $caller (param i32) (call_indirect (local.get 0)))
  (func $_start (export "_start") (call $caller (i32.const 3))))
