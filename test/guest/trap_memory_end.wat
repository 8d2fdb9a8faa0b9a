;; SPDX-License-Identifier: MIT
;; The last index and the largest offset that needs no check: the access begins in the last bytes of
;; what is reserved for a memory and ends behind them.
(module
  (memory 1)
  (func (export "_start")
    (i64.store offset=2147483646 (i32.const -1) (i64.const -1))))
