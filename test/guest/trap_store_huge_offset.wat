;; SPDX-License-Identifier: MIT
;; A store at a huge static offset.
(module
  (memory 1)
  (func $write (param i32 f64) (f64.store offset=0xfffffff0 (local.get 0) (local.get 1)))
  (func $_start (export "_start") (call $write (i32.const 0xfffffff0) (f64.const 1))))
