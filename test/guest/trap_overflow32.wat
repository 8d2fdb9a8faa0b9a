;; SPDX-License-Identifier: MIT
;; The same at 32 bits, with a constant divisor.
(module
  (func $quotient (param i32) (result i32) (i32.div_s (local.get 0) (i32.const -1)))
  (func $_start (export "_start") (drop (call $quotient (i32.const 0x80000000)))))
