;; SPDX-License-Identifier: MIT
;; A double just too large for its integer.
(module
  (func $convert (param f64) (result i64) (i64.trunc_f64_u (local.get 0)))
  (func $_start (export "_start") (drop (call $convert (f64.const 18446744073709551616)))))
