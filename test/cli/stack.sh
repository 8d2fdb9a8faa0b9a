# SPDX-License-Identifier: MIT
# engines: each
# --stack: how deep calls go, in proportion; on Linux and in the kernel.
wat deep <<'END'
(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
 (memory (export "memory") 1) (global $n (mut i32) (i32.const 0))
 (func $down (param i64 i64 i64) (result i64) (global.set $n (i32.add (global.get $n) (i32.const 1)))
  (i64.add (local.get 0) (call $down (local.get 1) (local.get 2) (i64.add (local.get 0) (i64.const 1)))))
 (func (export "_start") (drop (call $down (i64.const 1) (i64.const 2) (i64.const 3)))))
END
depth() { # COMMAND OPTIONS...: frames at the trap
    run "$@" --engine "$ENGINE" deep.wasm
    exits 134
    says 'call stack exhausted'
    deep=$(sed -n 's/^  \.\.\. \(at least \)\{0,1\}\([0-9]*\) more$/\2/p' err)
}
for command in run boot; do
    depth $command
    all=$deep
    depth $command --stack 2M
    python3 -c "import sys; all, quarter = map(int, sys.argv[1:]); assert 0.2 * all < quarter < 0.3 * all, sys.argv" $all $deep
    depth $command --stack 8M
    [ "$deep" = "$all" ] || fail "$deep frames, expected $all"
    run $command --stack 256K --engine "$ENGINE" "$GUESTS/hello.wasm"
    exits 0
    prints '^Hello, world$'
done
for size in 100K 9M much; do
    run run --stack $size deep.wasm
    exits 2
    says 'stack'
done
