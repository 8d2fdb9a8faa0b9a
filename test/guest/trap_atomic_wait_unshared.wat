;; SPDX-License-Identifier: MIT
;; Waiting is for shared memories.
(module
  (memory 1)
  (func $touch (param i32)
    (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 0))))
  (func $_start (export "_start") (call $touch (i32.const 0))))
