;; SPDX-License-Identifier: MIT
;; i32 arithmetic at its edges: each operation on two locals, on a local and a constant (both ways),
;; and on two constants. The four must agree; one is printed, a difference is a trap.
(module
#include "print.inc"

#define BOTH(op, a, b)                                                        \
  (local.set $x (i32.const a)) (local.set $y (i32.const b))                   \
  (local.set $r (op (local.get $x) (local.get $y)))                           \
  (if (i32.ne (local.get $r) (op (local.get $x) (i32.const b))) (then unreachable)) \
  (if (i32.ne (local.get $r) (op (i32.const a) (local.get $y))) (then unreachable)) \
  (if (i32.ne (local.get $r) (op (i32.const a) (i32.const b))) (then unreachable)) \
  (call $i32 (local.get $r))

#define SIMPLE(a, b)                                                          \
  BOTH(i32.add, a, b) BOTH(i32.sub, a, b) BOTH(i32.mul, a, b) BOTH(i32.and, a, b) \
  BOTH(i32.or, a, b) BOTH(i32.xor, a, b) BOTH(i32.shl, a, b) BOTH(i32.shr_s, a, b) \
  BOTH(i32.shr_u, a, b) BOTH(i32.rotl, a, b) BOTH(i32.rotr, a, b) BOTH(i32.eq, a, b) \
  BOTH(i32.ne, a, b) BOTH(i32.lt_s, a, b) BOTH(i32.lt_u, a, b) BOTH(i32.gt_s, a, b) \
  BOTH(i32.gt_u, a, b) BOTH(i32.le_s, a, b) BOTH(i32.le_u, a, b) BOTH(i32.ge_s, a, b) \
  BOTH(i32.ge_u, a, b)

#define UNARY(a)                                                              \
  (local.set $x (i32.const a))                                                \
  (call $i32 (i32.clz (local.get $x))) (call $i32 (i32.ctz (local.get $x)))   \
  (call $i32 (i32.popcnt (local.get $x))) (call $i32 (i32.eqz (local.get $x))) \
  (call $i32 (i32.extend8_s (local.get $x))) (call $i32 (i32.extend16_s (local.get $x)))

  (func $_start (export "_start")
    (local $x i32) (local $y i32) (local $r i32)
    SIMPLE(0, 0)
    SIMPLE(1, -1)
    SIMPLE(-1, 1)
    SIMPLE(0x80000000, 0x7fffffff)
    SIMPLE(0x7fffffff, 0x80000000)
    SIMPLE(0x80000000, 0x80000000)
    SIMPLE(0x12345678, 31)
    SIMPLE(0x89abcdef, 32)
    SIMPLE(0x89abcdef, 33)
    SIMPLE(0xdeadbeef, -5)
    BOTH(i32.div_s, 7, -2) BOTH(i32.div_u, 7, -2) BOTH(i32.rem_s, 7, -2) BOTH(i32.rem_u, 7, -2)
    BOTH(i32.div_s, -7, 2) BOTH(i32.div_u, -7, 2) BOTH(i32.rem_s, -7, 2) BOTH(i32.rem_u, -7, 2)
    BOTH(i32.div_s, 0x80000000, 2) BOTH(i32.div_u, 0x80000000, -1)
    BOTH(i32.rem_s, 0x80000000, -1) BOTH(i32.rem_u, 0x80000000, -1)
    BOTH(i32.div_s, 0x80000000, 1) BOTH(i32.div_s, 0x80000001, -1)
    BOTH(i32.rem_s, 0x80000000, 0x10) BOTH(i32.div_s, -17, 16) BOTH(i32.div_u, -17, 16)
    UNARY(0) UNARY(1) UNARY(-1) UNARY(0x80000000) UNARY(0x00008080) UNARY(0x7f7f7f80)))
