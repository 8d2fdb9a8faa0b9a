;; SPDX-License-Identifier: MIT
;; A store that straddles the end writes nothing, not even what would fit.
(module
  (memory 1)
  (func $write (param i32 i64) (i64.store (local.get 0) (local.get 1)))
  (func $_start (export "_start") (call $write (i32.const 65532) (i64.const -1))))
