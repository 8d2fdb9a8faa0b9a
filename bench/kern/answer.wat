;; Sends each message back to where it came from, in one call with waiting for the next one.
(module
  (import "nebulet" "channel_recv"
    (func $recv (param i32 i32 i32 i32 i32 i32 i64) (result i64)))
  (import "nebulet" "channel_call" (func $call (param i32 i32 i32 i32 i32 i64) (result i64)))
  (memory (export "memory") 1)
  (func (export "_start") (local $size i64)
    (local.set $size
      (call $recv (i32.const 0) (i32.const 0) (i32.const 64) (i32.const 0) (i32.const 0)
        (i32.const 0) (i64.const -1)))
    (loop $again
      (local.set $size
        (call $call (i32.const 0) (i32.const 0) (i32.wrap_i64 (local.get $size)) (i32.const 0)
          (i32.const 64) (i64.const -1)))
      (br_if $again (i64.ge_s (local.get $size) (i64.const 0))))))
