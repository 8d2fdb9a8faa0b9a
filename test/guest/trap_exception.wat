;; SPDX-License-Identifier: MIT
;; Nobody catches it: the message names the tag, and the frames are those where it was thrown.
(module
  (memory (export "memory") 1)
  (tag $e (export "bad luck") (param i32))
  (tag $other)
  (func $inner (param i32) (throw $e (local.get 0)))
  (func $outer (param i32)
    (try (do (call $inner (local.get 0))) (catch $other)))
  (func (export "_start")
    (try (do (call $outer (i32.const 3))) (catch $other))))
