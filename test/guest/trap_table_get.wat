;; SPDX-License-Identifier: MIT
;; table.get beyond the end.
(module
  (table 3 funcref)
  (func $_start (export "_start") (drop (table.get 0 (i32.const 3)))))
