# SPDX-License-Identifier: MIT
# engines: each
# snapshot: a module that begins as wizer.initialize has left its memory and globals. It is plain WebAssembly, so others
# must take it, too; what it was stays in its place: segments, tables, functions.
wat all <<'END'
(module
  (memory (export "m") 1 9)
  (global $a (mut i32) (i32.const 1)) (global $b (mut i64) (i64.const 2)) (global $c (mut f32) (f32.const 3))
  (global $d (mut f64) (f64.const 4)) (global $e (mut v128) (v128.const i64x2 5 6)) (global $f i32 (i32.const 7))
  (global $g (mut funcref) (ref.func $one))
  (table 3 funcref) (elem (i32.const 1) $one) (elem declare func $one)
  (data $active (i32.const 100) "active") (data $passive "passive") (data (i32.const 65530) "behind")
  (func $one (result i32) (i32.const 1))
  (func $start (global.set $a (i32.const -5)))
  (start $start)
  (func (export "wizer.initialize")
    (global.set $b (i64.const 0x8000000000000000)) (global.set $c (f32.const nan:0x200001))
    (global.set $d (f64.const -0.0)) (global.set $e (v128.const i64x2 -1 77))
    (drop (memory.grow (i32.const 2)))
    (i32.store (i32.const 100) (i32.const 0)) (i32.store8 (i32.const 196607) (i32.const 9))
    (memory.init $passive (i32.const 300) (i32.const 0) (i32.const 7)))
  (func (export "globals") (result i32 i64 i32 i64 i64 i64 i32 i32)
    global.get $a global.get $b (i32.reinterpret_f32 (global.get $c)) (i64.reinterpret_f64 (global.get $d))
    (i64x2.extract_lane 0 (global.get $e)) (i64x2.extract_lane 1 (global.get $e)) global.get $f
    (ref.is_null (global.get $g)))
  (func (export "memory") (result i32 i32 i32 i32 i32 i32)
    memory.size (i32.load (i32.const 100)) (i32.load8_u (i32.const 104)) (i32.load8_u (i32.const 306))
    (i32.load8_u (i32.const 65535)) (i32.load8_u (i32.const 196607)))
  (func (export "call") (result i32) (call_indirect (result i32) (i32.const 1)))
  (func (export "passive") (result i32)
    (memory.init $passive (i32.const 400) (i32.const 0) (i32.const 7)) (i32.load8_u (i32.const 400)))
  (func (export "active") (memory.init $active (i32.const 0) (i32.const 0) (i32.const 1)))
  (func (export "bound") (result i32) (memory.grow (i32.const 7)))
  (func (export "_start") unreachable)
  (func (export "wizer.resume")))
END
run snapshot --engine "$ENGINE" all.wasm out.wasm
exits 0
run validate out.wasm
exits 0
values() { # EXPORT VALUES: each a line
    run run --engine "$ENGINE" --invoke "$1" out.wasm
    exits 0
    [ "$(tr '\n' ' ' <out)" = "$2 " ] || fail "$1: $(tr '\n' ' ' <out)"
}
values globals '-5 -9223372036854775808 2141192193 -9223372036854775808 -1 77 7 0'
values memory '3 0 118 101 100 9'
values call 1
values passive 112
values bound -1
run run --engine "$ENGINE" --invoke active out.wasm
exits 134
run run --engine "$ENGINE" out.wasm
exits 0
run snapshot --engine "$ENGINE" out.wasm again.wasm
exits 1
says 'exports no function wizer.initialize'

# Without data, and to standard output.
wat none <<'END'
(module (memory 1) (func (export "wizer.initialize") (i32.store (i32.const 8) (i32.const 5)))
  (func (export "get") (result i32) (i32.load (i32.const 8))))
END
"$NEBULET" snapshot --engine "$ENGINE" none.wasm - >out.wasm
values get 5

# A data segment that has been dropped stays so.
wat dropped <<'END'
(module (memory 1) (data $d "words") (data $k "kept") (func (export "wizer.initialize") (data.drop $d))
  (func (export "none") (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)))
  (func (export "get") (result i32) (memory.init $k (i32.const 0) (i32.const 0) (i32.const 4)) (i32.load8_u (i32.const 1))))
END
"$NEBULET" snapshot --engine "$ENGINE" dropped.wasm out.wasm
values get 101
run run --engine "$ENGINE" --invoke none out.wasm
exits 134
says 'out of bounds memory access'

# Objects: (type (struct (field (mut i32)))), which is all that it takes.
bytes objects.wasm 00 61 73 6d 01 00 00 00 01 08 02 5f 01 7f 01 60 00 00 03 02 01 01 05 03 01 00 01 07 14 01 \
    10 77 69 7a 65 72 2e 69 6e 69 74 69 61 6c 69 7a 65 00 00 0a 04 01 02 00 0b
run snapshot --engine "$ENGINE" objects.wasm objects.out
exits 1
says 'structs or arrays'

refused() { # TEXT, and a module
    wat refused
    run snapshot --engine "$ENGINE" refused.wasm refused.out
    exits 1
    says "refused.wasm: no snapshot can be made: .*$1"
    [ ! -e refused.out ] || fail "there is one all the same"
}
refused 'a table' <<'END'
(module (memory 1) (table 2 funcref) (elem declare func $f)
  (func $f (export "wizer.initialize") (table.set 0 (i32.const 1) (ref.func $f))))
END
refused 'a table' <<'END'
(module (memory 1) (table 2 funcref)
  (func (export "wizer.initialize") (drop (table.grow 0 (ref.null func) (i32.const 1)))))
END
refused 'another reference' <<'END'
(module (memory 1) (global $g (mut funcref) (ref.null func))
  (func $f (export "wizer.initialize") (global.set $g (ref.func $f))))
END
refused 'an element segment' <<'END'
(module (memory 1) (table 2 funcref) (elem $e func $f)
  (func $f (export "wizer.initialize") (elem.drop $e)))
END
refused 'another memory' <<'END'
(module (func (export "wizer.initialize")))
END
refused 'handles' <<'END'
(module (import "nebulet" "event_create" (func $event (result i64))) (memory 1)
  (func (export "wizer.initialize") (drop (call $event))))
END
refused 'without parameters' <<'END'
(module (memory 1) (func (export "wizer.initialize") (param i32)))
END
wat loops <<'END'
(module (memory 1) (func (export "wizer.initialize") (loop (br 0))))
END
run snapshot --engine "$ENGINE" --max-cpu 0.1 loops.wasm loops.out
exits 134
[ ! -e loops.out ] || fail 'there is one all the same'
run snapshot all.wasm
exits 2
