;; The least of processes: a page of memory, and a start that returns.
(module
  (memory (export "memory") 1)
  (func (export "_start")))
