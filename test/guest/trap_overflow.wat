;; SPDX-License-Identifier: MIT
;; The one quotient that does not fit: the smallest number by -1.
(module
  (func $quotient (param i64 i64) (result i64) (i64.div_s (local.get 0) (local.get 1)))
  (func $_start (export "_start") (drop (call $quotient (i64.const 0x8000000000000000) (i64.const -1)))))
