# SPDX-License-Identifier: MIT
# engines: each
# A thread of WASI ends, and what it has put into a table of a preloaded module is still of its own instance.
wat lib <<'END'
(module (table (export "table") 4 funcref))
END
wat uses <<'END'
(module (import "env" "memory" (memory 1 1 shared)) (import "lib" "table" (table $t 4 funcref))
 (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
 (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
 (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
 (type $f (func (result i32))) (global $mine (mut i32) (i32.const 41))
 (func $get (result i32) (global.get $mine)) (elem declare func $get)
 (func (export "wasi_thread_start") (param i32 i32)
  (if (local.get 1)
   (then (global.set $mine (i32.const 99)) (i32.atomic.store (i32.const 0) (i32.const 2))
    (drop (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const -1)))))
  (global.set $mine (i32.const 43)) (table.set $t (i32.const 3) (ref.func $get)) (i32.atomic.store (i32.const 0) (i32.const 1)))
 (func $spawn_and_wait (param $what i32) (local $n i32)
  (drop (call $spawn (local.get $what)))
  (loop $again (drop (call $yield))
   (br_if $again (i32.le_u (i32.atomic.load (i32.const 0)) (local.get $what))))
  (loop $again (drop (call $yield))
   (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 100)))))
 (func (export "_start")
  (call $spawn_and_wait (i32.const 0)) (call $spawn_and_wait (i32.const 1)) ;; where the first one's was, if that is gone
  (call $exit (call_indirect $t (type $f) (i32.const 3)))))
END
run run --engine "$ENGINE" --preload lib=lib.wasm uses.wasm
exits 43
