# SPDX-License-Identifier: MIT
# engines: each
# Programs that wait for input, or for room for their output: they get all of it, and can be ended.
mkfifo words
{ sleep 0.1; printf 'one '; sleep 0.1; printf 'two'; } >words &
run run --engine "$ENGINE" "$GUESTS/stdin.wasm" <words
exits 0
prints '^one two7 bytes'

# A pipe that is full for a while, written to in one piece.
wat large <<'END'
(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 17)
  (func (export "_start")
    (memory.fill (i32.const 65536) (i32.const 0x78) (i32.const 1000000))
    (i32.store (i32.const 0) (i32.const 65536))
    (i32.store (i32.const 4) (i32.const 1000000))
    (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))
      (then (call $exit (i32.const 3))))
    (if (i32.ne (i32.load (i32.const 8)) (i32.const 1000000))
      (then (call $exit (i32.const 4))))))
END
mkfifo bytes
{ sleep 0.3; wc -c; } <bytes >size &
shown="run large.wasm"
code=0
"$NEBULET" run --engine "$ENGINE" large.wasm >bytes 2>err || code=$?
exits 0
wait
[ "$(cat size)" -eq 1000000 ] || fail "a part of the output is missing"

# Neither reading, nor polling, nor sleeping, nor writing outlasts --max-time.
wat waits <<'END'
(module (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 4) (i32.const 16))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))))
END
wat polls <<'END'
(module (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "\01")
  (func (export "_start")
    (drop (call $poll (i32.const 0) (i32.const 256) (i32.const 1) (i32.const 512)))))
END
wat sleeps <<'END'
(module (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\10")
  (func (export "_start")
    (drop (call $poll (i32.const 0) (i32.const 256) (i32.const 1) (i32.const 512)))))
END
mkfifo silence
exec 9<>silence
for program in waits polls sleeps; do
    shown="run --max-time 0.2 $program.wasm"
    code=0
    timeout -s KILL 200 "$NEBULET" run --engine "$ENGINE" --max-time 0.2 $program.wasm \
        >out 2>err <&9 || code=$?
    exits 134
    says 'time'
done
code=0
timeout -s KILL 200 "$NEBULET" run --engine "$ENGINE" --max-time 0.2 large.wasm >&9 2>err || code=$?
shown="run --max-time 0.2 large.wasm"
exits 134
says 'time'

# A poll waits for a file and a clock together; what comes first is told.
wat first <<'END'
(module (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\07\00\00\00\00\00\00\00\01")
  (data (i32.const 48) "\09\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\00\e1\f5\05")
  (func (export "_start")
    (drop (call $poll (i32.const 0) (i32.const 256) (i32.const 2) (i32.const 512)))
    (call $exit (i32.add (i32.mul (i32.load (i32.const 512)) (i32.const 10))
      (i32.load (i32.const 256))))))
END
mkfifo quiet
exec 8<>quiet
run run --engine "$ENGINE" first.wasm <&8
exits 19 # one event: the clock's, after 100 ms
mkfifo soon
sed 's/e1.f5.05/00\\00\\ff/' first.wat >later.wat # 18 minutes
wat2wasm later.wat -o later.wasm
{ sleep 0.02; echo; sleep 0.3; } >soon &
run run --engine "$ENGINE" later.wasm <soon
exits 17
