;; SPDX-License-Identifier: MIT
;; Threads of WASI, each with an instance of its own, until one is refused. They wait, or, if that is the
;; argument, poll a thousand clocks each. Which of them meets the limit is chance, and may be one that traps for it:
;; so what there is to say is said before.
(module
  (import "env" "memory" (memory $m 3 3 shared))
  (export "memory" (memory $m))
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (data (i32.const 0) "\20\00\00\00\05\00\00\00")
  (data (i32.const 32) "kept\20")
  (func (export "wasi_thread_start") (param $id i32) (param $polls i32)
    (if (local.get $polls)
      (then (drop (call $poll (i32.const 65536) (i32.const 131072) (i32.const 1000) (i32.const 16)))))
    (drop (memory.atomic.wait32 (i32.const 24) (i32.const 0) (i64.const -1))))
  (func (export "_start")
    (local $polls i32) (local $at i32)
    (drop (call $args (i32.const 1024) (i32.const 2048)))
    (local.set $polls (i32.eq (i32.load8_u (i32.load (i32.const 1028))) (i32.const 112)))
    (local.set $at (i32.const 65536))
    (loop $subscribe
      (i32.store8 (i32.add (local.get $at) (i32.const 16)) (i32.const 1))
      (i64.store (i32.add (local.get $at) (i32.const 24)) (i64.const 3600000000000))
      (br_if $subscribe
        (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 48))) (i32.const 113536))))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (loop $more
      (drop (call $yield))
      (br_if $more (i32.gt_s (call $spawn (local.get $polls)) (i32.const 0))))
    (call $exit (i32.const 0))))
