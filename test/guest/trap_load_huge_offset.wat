;; SPDX-License-Identifier: MIT
;; A static offset so large that address and offset together pass 4 GiB, the address small.
(module
  (memory 1)
  (func $read (param i32) (result i32) (i32.load offset=0xfffffff0 (local.get 0)))
  (func $_start (export "_start") (drop (call $read (i32.const 0x20)))))
