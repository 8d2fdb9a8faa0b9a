;; SPDX-License-Identifier: MIT
;; A crowd that waits at one address, each with a deadline of its own, and is woken at once: each has a timer to be taken
;; back.
(module
  (import "nebulet" "thread_spawn" (func $spawn (param i32 i32 i32) (result i64)))
  (import "nebulet" "handle_close" (func $close (param i32) (result i64)))
  (import "nebulet" "thread_yield" (func $yield (result i64)))
  (memory (export "memory") 1 1 shared)
  (table 1 funcref)
  (elem (i32.const 0) $waits)
  (global $ready (mut i32) (i32.const 0))
  (global $woken (mut i32) (i32.const 0))
  (func $waits (param $i i32)
    (global.set $ready (i32.add (global.get $ready) (i32.const 1)))
    (if (i32.eqz (memory.atomic.wait32 (i32.const 0) (i32.const 0)
          (i64.add (i64.const 1000000000000) (i64.extend_i32_u (local.get $i)))))
      (then (global.set $woken (i32.add (global.get $woken) (i32.const 1))))))
  (func (export "_start") (local $i i32)
    (loop $more
      (drop (call $close (i32.wrap_i64 (call $spawn (i32.const 0) (local.get $i) (i32.const 0)))))
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3000))))
    (loop $wait
      (drop (call $yield))
      (br_if $wait (i32.lt_u (global.get $ready) (i32.const 3000))))
    (drop (call $yield))
    (if (i32.ne (memory.atomic.notify (i32.const 0) (i32.const -1)) (i32.const 3000)) (then unreachable))
    (loop $rest
      (drop (call $yield))
      (br_if $rest (i32.lt_u (global.get $woken) (i32.const 3000))))))
