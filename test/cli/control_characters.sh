# SPDX-License-Identifier: MIT
# Names in a module may hold anything: no escape sequence of theirs gets to the terminal.
clean() {
    ! grep -q "$(printf '\033')" out err || fail "an escape sequence came through"
}
wat names <<'END'
(module (func $f (export "\1b[2J") (param i32) (unreachable)))
END
wat import <<'END'
(module (import "\1b[2J" "\1b[2J" (func)))
END
wat twice <<'END'
(module (func (export "\1b[2J")) (func (export "\1b[1J")))
END
sed 's/\[1J/[2J/' twice.wasm >duplicate.wasm
run run names.wasm
exits 1
says 'exports .\[2J'
clean
run inspect names.wasm
exits 0
prints '.\[2J'
clean
run inspect import.wasm
exits 0
clean
run run import.wasm
exits 1
says 'no module ".\[2J"'
clean
run validate duplicate.wasm
exits 1
says 'duplicate export name ".\[2J"'
clean

# Names that a program gives its children; a line of theirs is none of ours either.
wat child <<'END'
(module (import "nebulet" "wasm_compile" (func $compile (param i32 i32 i32 i32) (result i64)))
  (import "nebulet" "process_create" (func $create (param i32 i32 i32 i32 i32 i32) (result i64)))
  (import "nebulet" "process_start" (func $begin (param i32) (result i64)))
  (import "nebulet" "process_wait" (func $wait (param i32 i64 i32) (result i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\00asm\01\00\00\00\01\04\01\60\00\00\03\02\01\00\07\0a\01\06_start\00\00\0a\05\01\03\00\00\0b")
  (data (i32.const 104) "\1b]0;a\07\c2\9b2J\9b2J\e2\9b\84\0anebulet: b\7f")
  (func (export "_start") (local $p i32)
    (local.set $p (i32.wrap_i64 (call $create
      (i32.wrap_i64 (call $compile (i32.const 0) (i32.const 37) (i32.const 300) (i32.const 100)))
      (i32.const -1) (i32.const 64) (i32.const 104) (i32.const 0) (i32.const 0))))
    (drop (call $begin (local.get $p)))
    (drop (call $wait (local.get $p) (i64.const -1) (i32.const 0)))))
END
for how in run boot; do
    run $how --stats child.wasm
    says '^nebulet: \?\]0;a\?\?\?2J\?2J⛄\?nebulet: b\?: wasm trap: unreachable'
    clean
done
