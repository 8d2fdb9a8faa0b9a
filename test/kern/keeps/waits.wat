;; SPDX-License-Identifier: MIT
;; As small as a process can be: no memory, and one thread that sleeps for two seconds.
(module
  (import "nebulet" "clock_now" (func $now (param i32) (result i64)))
  (import "nebulet" "object_wait_many" (func $wait (param i32 i32 i64) (result i64)))
  (func (export "_start")
    (drop (call $wait (i32.const 0) (i32.const 0)
                      (i64.add (call $now (i32.const 0)) (i64.const 2000000000))))))
