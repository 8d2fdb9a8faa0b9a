;; The index of a br_table waited in the scratch register, through which the float constant that
;; the branch carries then came.
(module
  (func (export "f0") (param i32) (result f64)
    (block $c (result f64)
      (block $b (result f64)
        (block $a (result f64)
          f64.const inf
          local.get 0
          br_table $a $b $c)
        (return (f64.add (f64.const 1))))
      (return (f64.neg)))
    f64.const 0.5
    f64.min))
