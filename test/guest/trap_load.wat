;; SPDX-License-Identifier: MIT
;; A load of which only the last byte is outside.
(module
  (memory 1)
  (func $read (param i32) (result i64) (i64.load (local.get 0)))
  (func $_start (export "_start") (drop (call $read (i32.const 65529)))))
