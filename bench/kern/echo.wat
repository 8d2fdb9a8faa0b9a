;; Sends each message back to where it came from, until nobody is there.
(module
  (import "nebulet" "channel_recv"
    (func $recv (param i32 i32 i32 i32 i32 i32 i64) (result i64)))
  (import "nebulet" "channel_send" (func $send (param i32 i32 i32 i32 i32 i64) (result i64)))
  (memory (export "memory") 1)
  (func (export "_start") (local $size i64)
    (loop $again
      (local.set $size
        (call $recv (i32.const 0) (i32.const 0) (i32.const 64) (i32.const 0) (i32.const 0)
          (i32.const 0) (i64.const -1)))
      (br_if $again
        (i32.and
          (i64.ge_s (local.get $size) (i64.const 0))
          (i64.eqz
            (call $send (i32.const 0) (i32.const 0) (i32.wrap_i64 (local.get $size)) (i32.const 0)
              (i32.const 0) (i64.const -1))))))))
