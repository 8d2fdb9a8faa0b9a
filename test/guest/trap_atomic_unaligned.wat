;; SPDX-License-Identifier: MIT
;; An atomic at an address that is misaligned traps, before anything else is looked at.
(module
  (memory 1)
  (func $touch (param i32)
    (drop (i32.atomic.rmw.add offset=2 (local.get 0) (i32.const 1))))
  (func $_start (export "_start") (call $touch (i32.const 4))))
