;; SPDX-License-Identifier: MIT
;; Every atomic, on a shared memory: what it returns and what it leaves, where the numbers wrap and
;; where the operands have more bits than memory has.
(module
#define SHARED
#include "print.inc"

#define INIT (i64.store (i32.const 64) (i64.const 0x8182838485868788))
#define LEFT (call $i64 (i64.load (i32.const 64)))
#define LOAD(print, op, at) (call print (op (i32.const at))) (call print (op offset=at (local.get $zero)))
#define STORE(op, value) INIT (op (local.get $p) (value)) LEFT INIT (op offset=64 (i32.const 0) (value)) LEFT
#define RMW(print, op, value) INIT (call print (op (local.get $p) (value))) LEFT
#define DROP(op, value) INIT (drop (op offset=60 (i32.const 4) (value))) LEFT
#define RMW_I32(op) RMW($i32, op, i32.const 0x7f7f7f7f) RMW($i32, op, i32.const -1) DROP(op, local.get $i)
#define RMW_I64(op) RMW($i64, op, i64.const 0x7f7f7f7f7f7f7f7f) RMW($i64, op, i64.const -1) DROP(op, local.get $l)
#define ALL(name) \
  RMW_I32(i32.atomic.rmw.name) RMW_I32(i32.atomic.rmw8.name##_u) RMW_I32(i32.atomic.rmw16.name##_u) \
  RMW_I64(i64.atomic.rmw.name) RMW_I64(i64.atomic.rmw8.name##_u) RMW_I64(i64.atomic.rmw16.name##_u) \
  RMW_I64(i64.atomic.rmw32.name##_u)
#define CMPXCHG(print, op, expected, value) INIT (call print (op (local.get $p) (expected) (value))) LEFT

  (func $loads (param $zero i32)
    INIT
    LOAD($i32, i32.atomic.load, 64) LOAD($i32, i32.atomic.load, 68)
    LOAD($i32, i32.atomic.load8_u, 65) LOAD($i32, i32.atomic.load16_u, 66)
    LOAD($i64, i64.atomic.load, 64) LOAD($i64, i64.atomic.load8_u, 67)
    LOAD($i64, i64.atomic.load16_u, 70) LOAD($i64, i64.atomic.load32_u, 68))

  (func $stores (param $p i32) (param $i i32) (param $l i64)
    STORE(i32.atomic.store, local.get $i) STORE(i32.atomic.store8, local.get $i)
    STORE(i32.atomic.store16, i32.const 0x12345)
    STORE(i64.atomic.store, local.get $l) STORE(i64.atomic.store, i64.const 0x0102030405060708)
    STORE(i64.atomic.store8, local.get $l) STORE(i64.atomic.store16, i64.const -2)
    STORE(i64.atomic.store32, local.get $l))

  (func $rmw (param $p i32) (param $i i32) (param $l i64)
    ALL(add) ALL(sub) ALL(and) ALL(or) ALL(xor) ALL(xchg))

  ;; The operand and the result are the same local, and the address too.
  (func $same (param $p i32) (param $l i64)
    INIT
    (local.set $l (i64.atomic.rmw.add (local.get $p) (local.get $l)))
    (call $i64 (local.get $l))
    (local.set $p (i32.atomic.rmw8.xchg_u (local.get $p) (local.get $p)))
    (call $i32 (local.get $p))
    LEFT)

  (func $cmpxchg (param $p i32) (param $e i32) (param $l i64)
    CMPXCHG($i32, i32.atomic.rmw.cmpxchg, i32.const 0x85868788, i32.const 0x12345678)
    CMPXCHG($i32, i32.atomic.rmw.cmpxchg, i32.const 0x85868787, i32.const 0x12345678)
    ;; As many bits of the expected value count as there are in memory.
    CMPXCHG($i32, i32.atomic.rmw8.cmpxchg_u, i32.const 0x88, local.get $e)
    CMPXCHG($i32, i32.atomic.rmw8.cmpxchg_u, i32.const 0xffffff88, local.get $e)
    CMPXCHG($i32, i32.atomic.rmw8.cmpxchg_u, local.get $e, i32.const 0)
    CMPXCHG($i32, i32.atomic.rmw16.cmpxchg_u, i32.const 0x8788, local.get $e)
    CMPXCHG($i32, i32.atomic.rmw16.cmpxchg_u, i32.const 0x18788, local.get $e)
    CMPXCHG($i32, i32.atomic.rmw16.cmpxchg_u, i32.const 0x88, local.get $e)
    CMPXCHG($i64, i64.atomic.rmw.cmpxchg, local.get $l, i64.const 5)
    CMPXCHG($i64, i64.atomic.rmw.cmpxchg, i64.const 0x8182838485868788, local.get $l)
    CMPXCHG($i64, i64.atomic.rmw8.cmpxchg_u, i64.const 0x188, local.get $l)
    CMPXCHG($i64, i64.atomic.rmw16.cmpxchg_u, i64.const 0xffff8788, local.get $l)
    CMPXCHG($i64, i64.atomic.rmw32.cmpxchg_u, i64.const 0x1185868788, local.get $l)
    CMPXCHG($i64, i64.atomic.rmw32.cmpxchg_u, local.get $l, local.get $l))

  ;; Nobody waits and nobody wakes: what remains is the comparison and the time limit.
  (func $waits (param $p i32)
    (i64.store (i32.const 64) (i64.const 7))
    (call $i32 (memory.atomic.wait32 (local.get $p) (i32.const 8) (i64.const -1)))
    (call $i32 (memory.atomic.wait32 (local.get $p) (i32.const 7) (i64.const 0)))
    (call $i32 (memory.atomic.wait64 offset=8 (i32.const 56) (i64.const 8) (i64.const -1)))
    (call $i32 (memory.atomic.wait64 (local.get $p) (i64.const 7) (i64.const 1000)))
    (call $i32 (memory.atomic.notify (local.get $p) (i32.const -1)))
    (atomic.fence))

  (func $_start (export "_start")
    (call $loads (i32.const 0))
    (call $stores (i32.const 64) (i32.const 0xcafebabe) (i64.const 0x1122334455667788))
    (call $rmw (i32.const 64) (i32.const 0xcafebabe) (i64.const 0x1122334455667788))
    (call $same (i32.const 64) (i64.const 0x1122334455667788))
    (call $cmpxchg (i32.const 64) (i32.const 0x1fe) (i64.const 0x1122334455667788))
    (call $waits (i32.const 64))
    (call $i32 (memory.grow (i32.const 1)))
    (call $i32 (memory.size))))
