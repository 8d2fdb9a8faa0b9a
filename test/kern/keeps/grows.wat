;; SPDX-License-Identifier: MIT
;; A table that grows until it is refused, by steps that leave nothing over.
(module
  (import "nebulet" "clock_now" (func $now (param i32) (result i64)))
  (import "nebulet" "object_wait_many" (func $wait (param i32 i32 i64) (result i64)))
  (table $t 0 funcref)
  (elem declare func $start)
  (func $start (export "_start")
    (local $step i32)
    (local.set $step (i32.const 4096))
    (loop $smaller
      (loop $grow
        (br_if $grow (i32.ge_s (table.grow $t (ref.func $start) (local.get $step)) (i32.const 0))))
      (br_if $smaller (local.tee $step (i32.shr_u (local.get $step) (i32.const 3)))))
    (drop (call $wait (i32.const 0) (i32.const 0)
                      (i64.add (call $now (i32.const 0)) (i64.const 1000000000))))))
