;; SPDX-License-Identifier: MIT
;; A constant address outside, and a result that nobody uses: still a trap.
(module
  (memory 1)
  (func $_start (export "_start") (drop (f64.load offset=0xfffffff8 (i32.const 0)))))
