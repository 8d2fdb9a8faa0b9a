;; WASI's threads: each has an instance of its own over the same memory. Four threads add up numbers in
;; a loop that polls, and wake the first thread, which waits until all have come.
(module
  (import "env" "memory" (memory 1 16 shared))
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (global $mine (mut i32) (i32.const 0)) ;; not shared
  (data (i32.const 64) "threads: \n")
  (func (export "wasi_thread_start") (param $id i32) (param $arg i32)
    (local $i i32)
    (loop $again
      (global.set $mine (i32.add (global.get $mine) (i32.const 1)))
      (drop (i32.atomic.rmw.add (i32.const 4) (local.get $arg)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 100000))))
    (if (i32.ne (global.get $mine) (i32.const 100000)) (then unreachable))
    (if (i32.le_s (local.get $id) (i32.const 0)) (then unreachable))
    (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
    (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
  (func $wait (local $seen i32)
    (loop $again
      (local.set $seen (i32.atomic.load (i32.const 0)))
      (if (i32.lt_u (local.get $seen) (i32.const 4))
        (then
          (drop (memory.atomic.wait32 (i32.const 0) (local.get $seen) (i64.const -1)))
          (br $again)))))
  (func (export "_start") (local $i i32)
    (loop $again
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (if (i32.le_s (call $spawn (local.get $i)) (i32.const 0)) (then unreachable))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 4))))
    (call $wait)
    ;; (1 + 2 + 3 + 4) * 100,000, and a wait whose time is up
    (if (i32.ne (i32.atomic.load (i32.const 4)) (i32.const 1000000)) (then unreachable))
    (if (i32.ne (memory.atomic.wait32 (i32.const 0) (i32.const 4) (i64.const 1000000)) (i32.const 2))
      (then unreachable))
    (if (global.get $mine) (then unreachable))
    (i32.store8 (i32.const 73) (i32.add (i32.const 48) (i32.atomic.load (i32.const 0))))
    (i32.store8 (i32.const 74) (i32.const 10))
    (i32.store (i32.const 16) (i32.const 64))
    (i32.store (i32.const 20) (i32.const 11))
    (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))))
