;; SPDX-License-Identifier: MIT
;; A trap in the start function, before _start is called.
(module
  (start $early)
  (func $early (unreachable))
  (func $_start (export "_start") (unreachable)))
