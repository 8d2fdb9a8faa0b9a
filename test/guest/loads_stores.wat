;; SPDX-License-Identifier: MIT
;; Every load and store, at every width, signedness and alignment, with the address in a local, as a
;; constant, and split between both and the static offset; and the last bytes of memory.
(module
#include "print.inc"
  (data (i32.const 64) "\80\ff\7f\01\fe\dc\ba\98\76\54\32\10\ff\00\80\7f\00\00\c0\7f\01\00\f8\ff")

#define LOAD(print, op, at)                                                   \
  (call print (op (i32.const at)))                                            \
  (call print (op offset=1 (i32.const at)))                                   \
  (call print (op offset=64 (i32.sub (local.get $p) (i32.const 60))))         \
  (call print (op offset=3 align=1 (local.get $p)))

  (func $loads (param $p i32)
    LOAD($i32, i32.load, 64) LOAD($i32, i32.load8_s, 64) LOAD($i32, i32.load8_u, 64)
    LOAD($i32, i32.load16_s, 64) LOAD($i32, i32.load16_u, 64)
    LOAD($i64, i64.load, 64) LOAD($i64, i64.load8_s, 64) LOAD($i64, i64.load8_u, 64)
    LOAD($i64, i64.load16_s, 64) LOAD($i64, i64.load16_u, 64)
    LOAD($i64, i64.load32_s, 64) LOAD($i64, i64.load32_u, 64)
    LOAD($f32, f32.load, 64) LOAD($f64, f64.load, 64)
    ;; A NaN passes through memory and locals with its bits.
    (call $i32 (i32.reinterpret_f32 (f32.load (i32.const 80))))
    (call $i64 (i64.reinterpret_f64 (f64.load (i32.const 80)))))

#define STORE(op, value)                                                      \
  (i64.store (i32.const 128) (i64.const -1)) (i64.store (i32.const 136) (i64.const -1)) \
  (op (i32.const 128) value) (op offset=9 (local.get $p) value)               \
  (call $i64 (i64.load (i32.const 128))) (call $i64 (i64.load (i32.const 136))) \
  (op offset=0x7f (i32.sub (local.get $p) (i32.const 127)) value)             \
  (call $i64 (i64.load (i32.const 128)))

  (func $stores (param $p i32) (param $i i32) (param $l i64) (param $f f32) (param $d f64)
    STORE(i32.store, (local.get $i)) STORE(i32.store8, (local.get $i))
    STORE(i32.store16, (local.get $i)) STORE(i64.store, (local.get $l))
    STORE(i64.store8, (local.get $l)) STORE(i64.store16, (local.get $l))
    STORE(i64.store32, (local.get $l))
    STORE(i32.store, (i32.const -2)) STORE(i32.store8, (i32.const 0x1a5))
    STORE(i32.store16, (i32.const 0x12345)) STORE(i64.store, (i64.const 0x123456789abcdef0))
    STORE(i64.store, (i64.const -2)) STORE(i64.store32, (i64.const 0x1ffffffff))
    (i64.store (i32.const 128) (i64.const 0))
    (f32.store (local.get $p) (local.get $f)) (call $i64 (i64.load (i32.const 128)))
    (f64.store offset=1 (local.get $p) (local.get $d)) (call $i64 (i64.load (i32.const 129)))
    (f32.store (local.get $p) (f32.const -1.5)) (f64.store offset=4 (local.get $p) (f64.const 2.5))
    (call $i64 (i64.load (i32.const 128))) (call $i64 (i64.load (i32.const 132))))

  ;; The last bytes can be read, with the offset on either side.
  (func $edges (param $end i32)
    (drop (i32.load8_u (i32.sub (local.get $end) (i32.const 1))))
    (drop (i32.load16_u offset=0x1fffe (i32.sub (local.get $end) (i32.const 0x20000))))
    (drop (i64.load offset=8 (i32.sub (local.get $end) (i32.const 16))))
    (i32.store offset=0x1fffc (i32.const 0) (i32.const 0x600d))
    (call $i32 (i32.load (i32.sub (local.get $end) (i32.const 4)))))

  ;; The address is a sum that wraps at 32 bits before the offset is added.
  (func $wraps (param $minus i32)
    (call $i32 (i32.load offset=64 (i32.add (local.get $minus) (i32.const 4))))
    (call $i32 (i32.load (i32.add (local.get $minus) (i32.const 68)))))

  (func $_start (export "_start")
    (call $loads (i32.const 66))
    (call $stores (i32.const 128) (i32.const 0x87654321) (i64.const 0x0123456789abcdef)
      (f32.const 3.25) (f64.const -0x1.8p-700))
    (call $edges (i32.const 0x20000))
    (call $wraps (i32.const -4))))
