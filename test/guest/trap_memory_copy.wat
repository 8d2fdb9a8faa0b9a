;; SPDX-License-Identifier: MIT
;; memory.copy whose source wraps around 4 GiB.
(module
  (memory 1)
  (func $_start (export "_start") (memory.copy (i32.const 0) (i32.const 0xffffffff) (i32.const 2))))
