# SPDX-License-Identifier: MIT
# engines: each
# A program that has used up what it may have says where it trapped as any other does.
cat >full.wat <<'WAT'
(module (memory 1)
  (func $inner unreachable)
  (func $outer (call $inner))
  (func $deep (param $n i32)
    (if (local.get $n) (then (call $deep (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "_start")
    (loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    (memory.fill (i32.const 0) (i32.const 1) (i32.shl (memory.size) (i32.const 16)))
    (call $deep (i32.const 10000))
    (call $outer)))
WAT
# An exception is kept in each frame.
many() { for i in 1 2 3 4 5 6 7 8 9 10; do printf "$1"; done; }
thousand() { many "$(many "$(many "$1")")"; }
cat >thrown.wat <<WAT
(module
  (tag \$t (param $(thousand 'i64 ')))
  (func \$throws
    (try (do (throw \$t $(thousand '(i64.const 1)')))
      (catch \$t $(thousand 'drop ') (call \$throws) (rethrow 0))))
  (func (export "_start") (call \$throws)))
WAT
wat2wasm --debug-names full.wat
wat2wasm --debug-names --enable-exceptions thrown.wat
for how in 'run --max-memory 4M' 'boot --max-memory 4M'; do
    run $how --engine "$ENGINE" full.wasm
    exits 134
    says 'trap: unreachable$'
    says '  at inner \(full.wasm:'
    says '  at outer \(full.wasm:'
    run $how --engine "$ENGINE" thrown.wasm
    exits 134
    says 'trap: no memory for an exception$'
    says '  at throws \(thrown.wasm:'
done
# A machine that has no page left, for whoever tells of it neither.
cat >machine.wat <<'WAT'
(module (memory 1)
  (func $inner unreachable)
  (func $outer (call $inner))
  (func (export "_start") (local $p i32) (local $n i32)
    (loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    (local.set $n (i32.shl (memory.size) (i32.const 16)))
    (loop $l
      (i32.store (local.get $p) (i32.const 1))
      (local.set $p (i32.add (local.get $p) (i32.const 4096)))
      (br_if $l (i32.lt_u (local.get $p) (local.get $n))))
    (call $outer)))
WAT
wat2wasm --debug-names machine.wat
for size in 16M 24M 32M; do
    run boot --memory $size --engine "$ENGINE" machine.wasm
    exits 134
    says 'trap: unreachable$'
    says '  at inner \(machine.wasm'
    says '  at outer \(machine.wasm'
done
