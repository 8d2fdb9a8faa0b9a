;; SPDX-License-Identifier: MIT
;; An atomic behind the end.
(module
  (memory 1)
  (func $touch (param i32)
    (drop (i64.atomic.rmw16.cmpxchg_u offset=0xfffe (local.get 0) (i64.const 1) (i64.const 1))))
  (func $_start (export "_start") (call $touch (i32.const 2))))
