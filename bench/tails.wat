;; SPDX-License-Identifier: MIT
;; As many tail calls as are asked for, to itself and to another by turns.
(module
  (func $odd (param i64) (result i64)
    (if (result i64) (i64.eqz (local.get 0))
      (then (i64.const 1))
      (else (return_call $even (i64.sub (local.get 0) (i64.const 1))))))
  (func $even (export "calls") (param i64) (result i64)
    (if (result i64) (i64.eqz (local.get 0))
      (then (i64.const 0))
      (else (return_call $odd (i64.sub (local.get 0) (i64.const 1)))))))
