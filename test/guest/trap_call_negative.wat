;; SPDX-License-Identifier: MIT
;; call_indirect with an index of all ones.
(module
  (table 3 funcref)
  (func $_start (export "_start") (call_indirect (i32.const -1))))
