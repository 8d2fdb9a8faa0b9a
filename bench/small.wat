;; SPDX-License-Identifier: MIT
;; A small module with one of everything that costs time when it is instantiated: a page of memory
;; with data, a table with elements, globals, functions and exports.
(module
  (memory (export "memory") 1)
  (table 4 funcref)
  (global $count (mut i32) (i32.const 0))
  (elem (i32.const 0) $next $twice)
  (data (i32.const 64) "hello, world\n")
  (func $next (export "next") (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (global.get $count))
  (func $twice (export "twice") (param i32) (result i32)
    (i32.shl (local.get 0) (i32.const 1))))
