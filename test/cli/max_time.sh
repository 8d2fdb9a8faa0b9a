# SPDX-License-Identifier: MIT
# engines: each
# --max-time ends endless loops, with and without calls in them, in about that time.
wat loop <<'END'
(module (func $spin (export "_start") (loop (br 0))))
END
wat calls <<'END'
(module (func $f (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func $spin (export "_start") (local i32)
    (loop (local.set 0 (call $f (local.get 0))) (br 0))))
END
# Nearly all the time is spent in the runtime, or in the host.
wat fills <<'END'
(module (table $t 10000000 funcref)
  (func $spin (export "_start")
    (loop (table.fill $t (i32.const 0) (ref.null func) (i32.const 10000000)) (br 0))))
END
wat draws <<'END'
(module (import "wasi_snapshot_preview1" "random_get" (func $draw (param i32 i32) (result i32)))
  (memory (export "memory") 160)
  (func $spin (export "_start")
    (loop (drop (call $draw (i32.const 0) (i32.const 10000000))) (br 0))))
END
wat draw <<'END'
(module (import "wasi_snapshot_preview1" "random_get" (func $draw (param i32 i32) (result i32)))
  (memory (export "memory") 65536)
  (func $spin (export "_start") (drop (call $draw (i32.const 0) (i32.const -1)))))
END
wat copies <<'END'
(module (memory 65536)
  (func $spin (export "_start")
    (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const -1))
      (memory.copy (i32.const 1) (i32.const 0) (i32.const -65536)) (br 0))))
END
for program in loop calls fills draws draw copies; do
    code=0
    shown="run --max-time 0.5 $program.wasm, within 5 s of CPU time"
    ( ulimit -t 5; exec timeout -s KILL 200 "$NEBULET" run --engine "$ENGINE" --max-time 0.5 $program.wasm ) \
        >out 2>err </dev/null || code=$?
    exits 134
    says 'time|interrupt|deadline'
done
run_within 200 run --engine "$ENGINE" --max-time 60 "$GUESTS/hello.wasm"
exits 0

# One write of 1 GiB to a file, which is not all there when time is up.
wat saves <<'END'
(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 20)
  (func $save (export "_start") (local $i i32)
    (loop (i32.store (i32.mul (local.get $i) (i32.const 8)) (i32.const 65536))
      (i32.store offset=4 (i32.mul (local.get $i) (i32.const 8)) (i32.const 1048576))
      (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1024))))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1024) (i32.const 16384)))))
END
run_within 200 run --engine "$ENGINE" --max-time 0.02 saves.wasm
exits 134
[ "$(stat -c %s out)" -lt 1000000000 ] || fail "1 GiB was written in 20 ms"
rm out

# One write that the console takes minutes for, and that nobody reads; others run meanwhile.
wat pours <<'END'
(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1025)
  (data (i32.const 0) "\10\00\00\00\00\00\00\04")
  (func $pour (export "_start") (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))))
END
wat ends <<'END'
(module (func (export "_start")))
END
shown="boot --max-time 0.5 pours.wasm ++ ends.wasm, the reader slow"
{ code=0; timeout -s KILL 100 "$NEBULET" boot --engine "$ENGINE" --max-time 0.5 --stats pours.wasm ++ \
    ends.wasm 2>&1 >/dev/null </dev/null || code=$?; echo $code >code; } | { sleep 2; tr -d '\0' >err; }
code=$(cat code)
exits 134
says 'wasm trap: time limit exceeded'
says 'ends.wasm: cpu '
