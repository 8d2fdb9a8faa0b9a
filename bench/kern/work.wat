;; Takes a number, goes so often through a loop that calls nobody, and sends the result back.
(module
  (import "nebulet" "channel_recv"
    (func $recv (param i32 i32 i32 i32 i32 i32 i64) (result i64)))
  (import "nebulet" "channel_send" (func $send (param i32 i32 i32 i32 i32 i64) (result i64)))
  (memory (export "memory") 1)
  (func $mix (param $n i64) (result i64) (local $x i64)
    (loop $again
      (local.set $x
        (i64.add
          (i64.mul (i64.xor (local.get $x) (local.get $n)) (i64.const 0x9e3779b97f4a7c15))
          (i64.load (i32.and (i32.wrap_i64 (local.get $x)) (i32.const 0x7ff8)))))
      (local.set $n (i64.sub (local.get $n) (i64.const 1)))
      (br_if $again (i64.ne (local.get $n) (i64.const 0))))
    (local.get $x))
  (func (export "_start")
    (loop $again
      (if (i64.eq (i64.const 8)
            (call $recv (i32.const 0) (i32.const 0) (i32.const 64) (i32.const 0) (i32.const 0)
              (i32.const 0) (i64.const -1)))
        (then
          (i64.store (i32.const 0) (call $mix (i64.load (i32.const 0))))
          (br_if $again
            (i64.eqz
              (call $send (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 0) (i32.const 0)
                (i64.const -1)))))))))
