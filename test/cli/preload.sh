# SPDX-License-Identifier: MIT
# engines: each
# --preload: a module's exports under a name, in the same process, initialized before the program. Each program has its own.
wat counter <<'END'
(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
 (memory (export "memory") 1) (data (i32.const 8) "\10\00\00\00\06\00\00\00ready\0a")
 (data (i32.const 16) "ready\0a")
 (global $n (mut i32) (i32.const 0)) (table (export "table") 2 funcref)
 (func $start (global.set $n (i32.const 40)))
 (func (export "_initialize") (global.set $n (i32.add (global.get $n) (i32.const 1)))
  (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0))))
 (func (export "next") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))
 (func (export "fail") (unreachable)) (start $start))
END
wat more <<'END'
(module (import "counter" "next" (func $next (result i32)))
 (func (export "twice") (result i32) (drop (call $next)) (call $next)))
END
wat uses <<'END'
(module (import "counter" "next" (func $next (result i32))) (import "more" "twice" (func $twice (result i32)))
 (import "counter" "memory" (memory 1)) (import "counter" "table" (table 2 funcref))
 (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
 (func (export "_start") (call $exit (i32.add (i32.mul (call $next) (i32.const 2)) (call $twice)))))
END
run run --engine "$ENGINE" --preload counter=counter.wasm --preload more=more.wasm uses.wasm ++ uses.wasm
exits 128
[ "$(grep -c '^ready$' out)" = 2 ] || fail "not initialized once for each program"
wat traps <<'END'
(module (import "counter" "fail" (func $fail)) (func (export "_start") (call $fail)))
END
run run --engine "$ENGINE" --preload counter=counter.wasm traps.wasm
exits 134
says 'unreachable'
says '_start \(traps.wasm'
says ' at fail \(counter:0x'
run run --engine "$ENGINE" --preload more=more.wasm uses.wasm
exits 1
says 'counter'
run run --engine "$ENGINE" --max-memory 200K --preload counter=counter.wasm --preload more=more.wasm uses.wasm
exits 128
run run --engine "$ENGINE" --max-memory 60K --preload counter=counter.wasm --preload more=more.wasm uses.wasm
exits 1
run run --preload counter.wasm uses.wasm
exits 1
says 'NAME=FILE'
run run --preload counter=none.wasm uses.wasm
exits 1
says 'none\.wasm'
echo nothing >bad.wasm
run run --preload counter=bad.wasm uses.wasm
exits 1
says 'bad\.wasm'
