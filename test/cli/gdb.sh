# SPDX-License-Identifier: MIT
# boot --gdb: the machine waits for GDB, in which the commands of doc/nebulet.gdb list what the kernel has.
command -v gdb >/dev/null || { echo "no gdb" >&2; exit 77; }
root=$HERE/../..
kernel=${NEBULET_KERNEL:-$(dirname "$NEBULET")/nebulet.elf}
wat waits <<'EOF'
(module (import "nebulet" "event_create" (func $event (result i64)))
 (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
 (memory (export "memory") 1) (data (i32.const 0) "\08\00\00\00\04\00\00\00end\0a")
 (func (export "_start") (drop (call $event))
  (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))
EOF
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
timeout 100 "$NEBULET" boot --gdb=$port waits.wasm >out 2>err </dev/null &
machine=$!
timeout 100 gdb -nx -batch -x "$root/doc/nebulet.gdb" -ex 'set tcp connect-timeout 60' -ex "target remote :$port" \
    -ex 'hbreak *handle_fd_write' -ex 'continue' -ex 'processes' -ex 'threads' -ex 'handles' -ex 'delete' \
    -ex 'continue' "$kernel" >seen 2>&1 || :
wait $machine || { cat err seen >&2; exit 1; }
for line in 'process 1 waits.wasm, NEBULET_LIVES, threads 1, handles 1' 'process 1 waits.wasm, thread 1, THREAD_READY' \
    'process 1 waits.wasm, handle [0-9]*, OBJECT_event at 0x'; do
    grep -q "^$line" seen || { echo "no line: $line" >&2; cat seen >&2; exit 1; }
done
grep -q '^end$' out || { echo "it did not go on" >&2; cat err >&2; exit 1; }
run boot --gdb=99999 waits.wasm
exits 2
says '1 to 65535'
