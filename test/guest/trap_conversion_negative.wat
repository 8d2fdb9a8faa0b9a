;; SPDX-License-Identifier: MIT
;; Minus one has no unsigned integer.
(module
  (func $convert (param f64) (result i32) (i32.trunc_f64_u (local.get 0)))
  (func $_start (export "_start") (drop (call $convert (f64.const -1)))))
