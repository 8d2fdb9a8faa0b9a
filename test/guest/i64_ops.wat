;; SPDX-License-Identifier: MIT
;; i64 arithmetic at its edges: each operation on two locals, on a local and a constant (both ways),
;; and on two constants. The four must agree; one is printed, a difference is a trap.
(module
#include "print.inc"

#define BOTH(op, a, b)                                                        \
  (local.set $x (i64.const a)) (local.set $y (i64.const b))                   \
  (local.set $r (op (local.get $x) (local.get $y)))                           \
  (if (i64.ne (local.get $r) (op (local.get $x) (i64.const b))) (then unreachable)) \
  (if (i64.ne (local.get $r) (op (i64.const a) (local.get $y))) (then unreachable)) \
  (if (i64.ne (local.get $r) (op (i64.const a) (i64.const b))) (then unreachable)) \
  (call $i64 (local.get $r))

#define COMPARE(op, a, b)                                                     \
  (local.set $x (i64.const a)) (local.set $y (i64.const b))                   \
  (local.set $c (op (local.get $x) (local.get $y)))                           \
  (if (i32.ne (local.get $c) (op (local.get $x) (i64.const b))) (then unreachable)) \
  (if (i32.ne (local.get $c) (op (i64.const a) (local.get $y))) (then unreachable)) \
  (if (i32.ne (local.get $c) (op (i64.const a) (i64.const b))) (then unreachable)) \
  (call $i32 (local.get $c))

#define SIMPLE(a, b)                                                          \
  BOTH(i64.add, a, b) BOTH(i64.sub, a, b) BOTH(i64.mul, a, b) BOTH(i64.and, a, b) \
  BOTH(i64.or, a, b) BOTH(i64.xor, a, b) BOTH(i64.shl, a, b) BOTH(i64.shr_s, a, b) \
  BOTH(i64.shr_u, a, b) BOTH(i64.rotl, a, b) BOTH(i64.rotr, a, b) COMPARE(i64.eq, a, b) \
  COMPARE(i64.ne, a, b) COMPARE(i64.lt_s, a, b) COMPARE(i64.lt_u, a, b) COMPARE(i64.gt_s, a, b) \
  COMPARE(i64.gt_u, a, b) COMPARE(i64.le_s, a, b) COMPARE(i64.le_u, a, b) COMPARE(i64.ge_s, a, b) \
  COMPARE(i64.ge_u, a, b)

#define UNARY(a)                                                              \
  (local.set $x (i64.const a))                                                \
  (call $i64 (i64.clz (local.get $x))) (call $i64 (i64.ctz (local.get $x)))   \
  (call $i64 (i64.popcnt (local.get $x))) (call $i32 (i64.eqz (local.get $x))) \
  (call $i64 (i64.extend8_s (local.get $x))) (call $i64 (i64.extend16_s (local.get $x))) \
  (call $i64 (i64.extend32_s (local.get $x)))

  (func $_start (export "_start")
    (local $x i64) (local $y i64) (local $r i64) (local $c i32)
    SIMPLE(0, 0)
    SIMPLE(1, -1)
    SIMPLE(-1, 1)
    SIMPLE(0x8000000000000000, 0x7fffffffffffffff)
    SIMPLE(0x7fffffffffffffff, 0x8000000000000000)
    SIMPLE(0x8000000000000000, 0x8000000000000000)
    SIMPLE(0x123456789abcdef0, 63)
    SIMPLE(0x89abcdef01234567, 64)
    SIMPLE(0x89abcdef01234567, 65)
    SIMPLE(0xdeadbeefcafebabe, -5)
    BOTH(i64.div_s, 7, -2) BOTH(i64.div_u, 7, -2) BOTH(i64.rem_s, 7, -2) BOTH(i64.rem_u, 7, -2)
    BOTH(i64.div_s, -7, 2) BOTH(i64.div_u, -7, 2) BOTH(i64.rem_s, -7, 2) BOTH(i64.rem_u, -7, 2)
    BOTH(i64.div_s, 0x8000000000000000, 2) BOTH(i64.div_u, 0x8000000000000000, -1)
    BOTH(i64.rem_s, 0x8000000000000000, -1) BOTH(i64.rem_u, 0x8000000000000000, -1)
    BOTH(i64.div_s, 0x8000000000000000, 1) BOTH(i64.div_s, 0x8000000000000001, -1)
    BOTH(i64.rem_s, 0x8000000000000000, 0x10) BOTH(i64.div_s, -17, 16) BOTH(i64.div_u, -17, 16)
    UNARY(0) UNARY(1) UNARY(-1) UNARY(0x8000000000000000) UNARY(0x0000808080808080) UNARY(0x7f7f7f7f7f7f7f80)))
