;; SPDX-License-Identifier: MIT
;; An active data segment that does not fit: instantiation traps.
(module
  (memory 1) (data (i32.const 65530) "too long")
  (func $_start (export "_start") (unreachable)))
