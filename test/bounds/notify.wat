;; SPDX-License-Identifier: MIT
;; As many threads as a process may have wait at one address, and are notified in the order in which
;; they came. Then the same again, in any order, if handle 0 is there: until somebody ends this.
(module
  (import "nebulet" "thread_spawn" (func $spawn (param i32 i32 i32) (result i64)))
  (import "nebulet" "thread_yield" (func $yield (result i64)))
  (import "nebulet" "handle_close" (func $close (param i32) (result i64)))
  (import "nebulet" "null_channel" (func $given (param i32) (result i64)))
  (memory (export "memory") 1 1 shared)
  (table 2 funcref)
  (elem (i32.const 1) $waits)
  (global $woken (mut i32) (i32.const 0))
  (global $ready (mut i32) (i32.const 0))
  (global $again (mut i32) (i32.const 0))
  (func $waits (param $i i32)
    (loop $again
      (local.set $i (global.get $ready)) ;; a turn may have passed before it came here
      (global.set $ready (i32.add (global.get $ready) (i32.const 1)))
      (if (memory.atomic.wait32 (i32.const 64) (i32.const 0) (i64.const -1)) (then unreachable))
      (if (i32.ne (global.get $woken) (local.get $i))
        (then (br_if 0 (global.get $again)) unreachable))
      (global.set $woken (i32.add (global.get $woken) (i32.const 1)))
      (br $again)))
  (func (export "_start")
    (local $i i32)
    (loop $more
      (drop (call $close (i32.wrap_i64 (call $spawn (i32.const 1) (local.get $i) (i32.const 0)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $i) (i32.const 9990))))
    (loop $again
      (global.set $woken (i32.const 0))
      (loop $gather
        (drop (call $yield))
        (br_if $gather (i32.lt_u (global.get $ready) (i32.const 9990))))
      (global.set $ready (i32.const 0))
      (if (i32.ne (memory.atomic.notify (i32.const 64) (i32.const -1)) (i32.const 9990))
        (then unreachable))
      (loop $run
        (drop (call $yield))
        (br_if $run (i32.lt_u (global.get $woken) (i32.const 9990))))
      (global.set $again (i32.const 1))
      (br_if $again (i64.eqz (call $given (i32.const 0)))))
    (if (i32.ne (global.get $woken) (i32.const 9990)) (then unreachable))))
