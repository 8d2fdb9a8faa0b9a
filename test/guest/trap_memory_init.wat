;; SPDX-License-Identifier: MIT
;; memory.init from a segment that was dropped.
(module
  (memory 1) (data $d "text")
  (func $_start (export "_start") (data.drop $d) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))))
