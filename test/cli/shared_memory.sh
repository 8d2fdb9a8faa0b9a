# SPDX-License-Identifier: MIT
# engines: each
# Shared memories: they have a maximum, and match only shared ones; atomics are naturally aligned.
cat >shared.wast <<'END'
(module $S (memory (export "m") 1 4 shared)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
(register "S" $S)
(module $U (memory (export "m") 1 4))
(register "U" $U)
(module (import "S" "m" (memory 1 4 shared)))
(module (import "S" "m" (memory 1 8 shared)))
(module $R (import "S" "m" (memory 1 4 shared)) (export "again" (memory 0))
  (func (export "load") (param i32) (result i32) (i32.atomic.load (local.get 0))))
(register "R" $R)
(module (import "R" "again" (memory 1 4 shared)))
(assert_unlinkable (module (import "S" "m" (memory 1 4))) "incompatible import type")
(assert_unlinkable (module (import "U" "m" (memory 1 4 shared))) "incompatible import type")
(assert_unlinkable (module (import "S" "m" (memory 1 3 shared))) "incompatible import type")
(assert_unlinkable (module (import "S" "m" (memory 2 4 shared))) "incompatible import type")
(assert_trap (invoke $R "load" (i32.const 65536)) "out of bounds memory access")
(assert_trap (invoke $R "load" (i32.const 65537)) "unaligned atomic")
(assert_return (invoke $S "grow" (i32.const 3)) (i32.const 1))
(assert_return (invoke $R "load" (i32.const 65536)) (i32.const 0))
(assert_return (invoke $S "grow" (i32.const 1)) (i32.const -1))
END
wast2json --enable-threads shared.wast -o shared.json
run wast --engine "$ENGINE" shared.json
exits 0

bytes endless.wasm 00 61 73 6d 01 00 00 00 05 03 01 02 01
run validate endless.wasm
exits 1
says 'shared needs a maximum'

wat_threads() {
    cat >"$1.wat"
    wat2wasm --no-check --enable-threads "$1.wat" -o "$1.wasm"
}
wat_threads aligned <<'END'
(module (memory 1) (func (result i32) (i32.atomic.load align=2 (i32.const 0))))
END
run validate aligned.wasm
exits 1
says 'atomic alignment must be natural'
wat_threads none <<'END'
(module (func (result i32) (memory.atomic.notify (i32.const 0) (i32.const 0))))
END
run validate none.wasm
exits 1
says 'unknown memory'

# WASI's threads are instances of their own: a memory that is not imported they would not have in common.
wat_threads own <<'END'
(module
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (memory (export "memory") 1 1 shared)
  (func (export "wasi_thread_start") (param i32 i32) (i32.store (i32.const 0) (i32.const 1)))
  (func (export "spawn") (result i32) (call $spawn (i32.const 0))))
END
run run --engine "$ENGINE" --invoke spawn own.wasm
exits 0
prints '^-2$'
