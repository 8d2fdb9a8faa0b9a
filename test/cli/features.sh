# SPDX-License-Identifier: MIT
# inspect names the features that a module uses, each of them; validate --features refuses others, and says where.
one() { # FEATURES ('-': none) TEXT: a module that uses them, and no others
    wanted=$1
    echo "$2" >one.wat
    wat2wasm --enable-all --disable-bulk-memory --disable-reference-types one.wat -o one.wasm 2>/dev/null ||
        wat2wasm --enable-all one.wat -o one.wasm
    uses
}
uses() {
    run inspect one.wasm
    exits 0
    found=$(sed -n 's/^features: //p' out | sed 's/none beyond.*/-/' | tr -d ' ')
    [ "$found" = "$wanted" ] || fail "features $found, expected $wanted"
    if [ "$wanted" = - ]; then
        run validate --features mvp one.wasm
        exits 0
        return
    fi
    run validate --features "$wanted" one.wasm
    exits 0
    silent
    run validate --features all one.wasm
    exits 0
    run validate --features mvp one.wasm
    exits 1
    says "one.wasm: uses ${wanted%%,*}, at offset 0x[0-9a-f]*"
}
one - '(module (memory 1) (table 1 funcref) (func (export "f") (block (result i32) (i32.const 1)) drop))'
one sign-extension '(module (func (param i32) (result i32) (i32.extend8_s (local.get 0))))'
one saturating-float-to-int '(module (func (param f32) (result i32) (i32.trunc_sat_f32_s (local.get 0))))'
one multi-value '(module (func (result i32 i32) (i32.const 1) (i32.const 2)))'
one multi-value '(module (func (i32.const 1) (block (param i32) drop)))'
one bulk-memory '(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 1))))'
one reference-types '(module (func (param externref)))'
one reference-types '(module (func (param funcref)))'
one reference-types '(module (func (drop (block (result externref) (unreachable)))))'
one simd '(module (func (drop (block (result v128) (unreachable)))))'
one reference-types,simd '(module (func (drop (select (result v128) (unreachable) (unreachable) (i32.const 0)))))'
one reference-types '(module (table 1 funcref) (func (result i32) (table.size 0)))'
one simd '(module (func (local v128)))'
one simd '(module (memory 1) (func (drop (v128.load (i32.const 0)))))'
one simd,relaxed-simd '(module (func (param v128) (result v128)
    (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))'
one tail-call '(module (func $f (return_call $f)))'
one extended-const '(module (global i32 (i32.add (i32.const 1) (i32.const 2))))'
one multi-memory '(module (memory 1) (memory 1))'
one memory64 '(module (memory i64 1))'
one mutable-global '(module (global (export "g") (mut i32) (i32.const 0)))'
one exceptions '(module (tag $t) (func (throw $t)))'
one legacy-exceptions '(module (tag $t) (func (try (do (throw $t)) (catch_all))))'
one threads '(module (memory 1 1 shared))'
one threads '(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))'
# (type (struct)), which that tool does not know
bytes one.wasm 00 61 73 6d 01 00 00 00 01 03 01 5f 00
wanted=gc uses
# call_ref of a type: (func (param (ref null 0)) (call_ref 0 (local.get 0)))
bytes one.wasm 00 61 73 6d 01 00 00 00 01 09 02 60 00 00 60 01 63 00 00 03 02 01 01 0a 08 01 06 00 20 00 14 00 0b
wanted=function-references uses

# (func (local anyref)), (func (block (result anyref) unreachable) drop), (func (ref.null any) drop)
head='00 61 73 6d 01 00 00 00 01 04 01 60 00 00 03 02 01 00'
bytes one.wasm $head 0a 06 01 04 01 01 6e 0b
wanted=gc uses
bytes one.wasm $head 0a 09 01 07 00 02 6e 00 0b 1a 0b
wanted=gc uses
bytes one.wasm $head 0a 07 01 05 00 d0 6e 1a 0b
wanted=reference-types,gc uses

run validate --features mvp,wasm2 one.wasm
exits 1
run validate --features wasm3 one.wasm
exits 0
run validate --features simd,warp one.wasm
exits 2
says warp
says 'hint: .*relaxed-simd'
for empty in '' , ,simd simd, simd,,threads; do
    run validate --features "$empty" one.wasm
    exits 2
    says "there is no ''"
done
