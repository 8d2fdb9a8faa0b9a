;; SPDX-License-Identifier: MIT
;; The unreachable instruction, three calls deep: every caller is in the trace.
(module
  (func $third (param i32) (result i32) (if (local.get 0) (then (unreachable))) (i32.const 1))
  (func $second (param i32) (result i32) (i32.add (call $third (local.get 0)) (i32.const 1)))
  (func $first (param i32) (result i32) (i32.add (call $second (local.get 0)) (i32.const 1)))
  (func $_start (export "_start") (drop (call $first (i32.const 1)))))
