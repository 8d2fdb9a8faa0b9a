;; What was known of a loop's parameter when the loop was entered was taken for true of those that came
;; back to it: an index of 8 bits, so that shifting it did not wrap around.
(module
  (memory (export "memory") 1)
  (data (i32.const 8) "\07\00\00\00")
  (func (export "f0") (param i32) (result i32)
    (local $rounds i32) (local $sum i32)
    (local.set $rounds (i32.const 2))
    (i32.and (local.get 0) (i32.const 1))
    (loop (param i32) (result i32)
      (i32.shl (i32.const 3))
      (i32.load)
      (local.set $sum (i32.add (local.get $sum)))
      (i32.const 0xe0000001)
      (br_if 0 (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
    (i32.add (local.get $sum))))
