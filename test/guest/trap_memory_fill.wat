;; SPDX-License-Identifier: MIT
;; memory.fill with a length that passes the end.
(module
  (memory 1)
  (func $_start (export "_start") (memory.fill (i32.const 65535) (i32.const 1) (i32.const 2))))
