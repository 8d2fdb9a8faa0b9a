;; SPDX-License-Identifier: MIT
;; A NaN has no integer.
(module
  (func $convert (param f32) (result i32) (i32.trunc_f32_s (local.get 0)))
  (func $_start (export "_start") (drop (call $convert (f32.const nan)))))
