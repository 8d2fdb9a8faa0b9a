;; SPDX-License-Identifier: MIT
;; table.init that passes the end of the table.
(module
  (table 3 funcref) (elem $e func $f $f)
  (func $f)
  (func $_start (export "_start") (table.init $e (i32.const 2) (i32.const 0) (i32.const 2))))
