;; Loops that come to a br_table in a straight line: operations go back to the header from many places, which takes the
;; jump along (src/fast/flow.c). The index beyond the table leads to a block, to the loop, out of the function, and
;; with a value; there are loops around it, code of memory's 64 bits, and one that is too long.
(module
  (memory 1)
  (data (i32.const 0) "\00\01\02\01\00\02\01\03")
  (data (i32.const 16) "\00\09\02\09\00\02\01\03")
  ;; 0 adds, 1 doubles, 2 takes away, 3 ends; what is beyond goes on.
  (func $run (export "run") (param $pc i32) (result i32) (local $a i32) (local $op i32)
    (loop $next
      (block $end (block $sub (block $double (block $add
        (local.set $op (i32.load8_u (local.get $pc)))
        (local.set $pc (i32.add (local.get $pc) (i32.const 1)))
        (br_table $add $double $sub $end $next (local.get $op)))
        (local.set $a (i32.add (local.get $a) (i32.const 7)))
        (br $next))
       (local.set $a (i32.shl (local.get $a) (i32.const 1)))
       (br $next))
      (local.set $a (i32.sub (local.get $a) (i32.const 3)))
      (br $next)))
    (local.get $a))
  ;; Beyond leads out of the function, with the value that is on the stack.
  (func (export "leave") (param $pc i32) (result i32) (local $a i32)
    (loop $next (result i32)
      (block $sub (result i32) (block $add (result i32)
        (local.get $a)
        (br_table $add $sub 3 (i32.load8_u (local.get $pc))))
        (local.set $a (i32.add (i32.const 10)))
        (local.set $pc (i32.add (local.get $pc) (i32.const 1)))
        (br $next))
      (local.set $a (i32.sub (i32.const 1)))
      (local.set $pc (i32.add (local.get $pc) (i32.const 1)))
      (br $next)))
  ;; Within a loop that has other locals in registers, and out to it from the middle.
  (func (export "nested") (param $n i32) (result i64)
    (local $pc i32) (local $s i64) (local $x i64) (local $y i64) (local $z i32)
    (loop $again
      (local.set $pc (i32.const 0))
      (block $out
        (loop $next
          (block $c (block $b (block $a
            (local.set $z (i32.load8_u (local.get $pc)))
            (br_table $a $b $c $out (i32.load8_u (local.get $pc))))
            (local.set $x (i64.add (local.get $x) (i64.extend_i32_u (local.get $n))))
            (local.set $pc (i32.add (local.get $pc) (i32.const 1)))
            (br $next))
           (local.set $y (i64.xor (local.get $y) (local.get $x)))
           (local.set $pc (i32.add (local.get $pc) (i32.const 1)))
           (br $next))
          (local.set $pc (i32.add (local.get $pc) (i32.const 1)))
          (br_if $again (i32.eqz (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (local.set $s (i64.add (i64.mul (local.get $s) (i64.const 31)) (i64.add (local.get $y) (local.get $x))))
          (br $next)))
      (br_if $again (i32.gt_s (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 0))))
    (i64.add (local.get $s) (i64.extend_i32_u (local.get $z))))
  ;; An inner loop does it, and the outer one's back edge takes another way.
  (func (export "inner") (param $n i32) (result i32) (local $i i32) (local $a i32)
    (loop $outer
      (block $done (block $odd (block $even
        (loop $inner
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_table $inner $even $odd $done (i32.and (local.get $i) (i32.const 3)))))
        (local.set $a (i32.add (local.get $a) (i32.const 100)))
        (br $outer))
       (local.set $a (i32.add (local.get $a) (i32.const 1)))
       (br $outer))
      (br_if $outer (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $a))
  ;; The operation lies beyond the memory, sooner or later: the trap is that of the load in the header.
  (func (export "beyond") (param $pc i32) (result i32) (local $a i32)
    (loop $next
      (block $end (block $b (block $a
        (br_table $a $b $end (i32.load8_u (local.get $pc))))
        (local.set $a (i32.add (local.get $a) (i32.const 1)))
        (local.set $pc (i32.add (local.get $pc) (i32.const 0x4000)))
        (br $next))
       (local.set $pc (i32.add (local.get $pc) (i32.const 0x4000)))
       (br $next)))
    (local.get $a))
)
(assert_return (invoke "run" (i32.const 0)) (i32.const 52))
(assert_return (invoke "run" (i32.const 16)) (i32.const 16))
(assert_return (invoke "leave" (i32.const 0)) (i32.const 9))
(assert_return (invoke "leave" (i32.const 4)) (i32.const 10))
(assert_return (invoke "leave" (i32.const 7)) (i32.const 0))
(assert_return (invoke "nested" (i32.const 5)) (i64.const 0x100913554))
(assert_return (invoke "inner" (i32.const 9)) (i32.const 303))
(assert_trap (invoke "beyond" (i32.const 0x8000)) "out of bounds memory access")
(assert_trap (invoke "beyond" (i32.const -1)) "out of bounds memory access")
(module
  (memory i64 1)
  (data (i64.const 0) "\00\01\00\02")
  (func (export "far") (param $pc i64) (result i32) (local $a i32)
    (loop $next
      (block $end (block $b (block $a
        (br_table $a $b $end (i32.load8_u (local.get $pc))))
        (local.set $a (i32.add (local.get $a) (i32.const 5)))
        (local.set $pc (i64.add (local.get $pc) (i64.const 1)))
        (br $next))
       (local.set $a (i32.mul (local.get $a) (i32.const 3)))
       (local.set $pc (i64.add (local.get $pc) (i64.const 1)))
       (br $next)))
    (local.get $a)))
(assert_return (invoke "far" (i64.const 0)) (i32.const 20))
(assert_trap (invoke "far" (i64.const 0x100000000)) "out of bounds memory access")
