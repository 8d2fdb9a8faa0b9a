;; SPDX-License-Identifier: MIT
;; The largest address and the largest offset: the sum does not wrap.
(module
  (memory 1)
  (func $read (param i32) (result i32) (i32.load8_u offset=0xffffffff (local.get 0)))
  (func $_start (export "_start") (drop (call $read (i32.const 0xffffffff)))))
