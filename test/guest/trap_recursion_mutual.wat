;; SPDX-License-Identifier: MIT
;; Endless recursion through a table, between two functions.
(module
  (table funcref (elem $ping $pong))
  (func $ping (param i32) (result i32) (i32.add (call_indirect (param i32) (result i32) (local.get 0) (i32.const 1)) (i32.const 1)))
  (func $pong (param i32) (result i32) (i32.sub (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0)) (i32.const 1)))
  (func $_start (export "_start") (drop (call $ping (i32.const 0)))))
