;; Traces named the byte behind an instruction's immediates, and lost their way at calls with
;; arguments on the stack.
(module
  (table 1 1 funcref)
  (type $many (func (param i32 i32 i32 i32 i32 i32 i32 i64 f64) (result i32 i64 f32)))
  (func $trap (type $many)
    (drop (i32.div_s (local.get 0) (local.get 1)))
    unreachable)
  (func $between (type $many)
    (call $trap (local.get 1) (local.get 0) (local.get 2) (local.get 3) (local.get 4)
      (local.get 5) (local.get 6) (local.get 7) (local.get 8)))
  (func (export "f0") (param i32 i32) (result i32)
    (call $between (local.get 0) (local.get 1) (i32.const 1) (i32.const 2) (i32.const 3)
      (i32.const 4) (i32.const 5) (i64.const 6) (f64.const 7))
    drop
    drop)
  (func (export "f1") (param f64 i32) (result i32)
    (call $between (i32.trunc_f64_s (local.get 0)) (local.get 1) (i32.const 1) (i32.const 2)
      (i32.const 3) (i32.const 4) (i32.const 5) (i64.const 6) (f64.const 7))
    drop
    drop)
  (func (export "f2") (param i32) (result i32)
    (call_indirect (type $many) (i32.const 0) (i32.const 1) (i32.const 1) (i32.const 2)
      (i32.const 3) (i32.const 4) (i32.const 5) (i64.const 6) (f64.const 7) (local.get 0))
    drop
    drop))
