;; SPDX-License-Identifier: MIT
;; The npm build of Ruby is a library for JavaScript. Merged with it, this is its main program: it
;; evaluates what comes in on the standard input.
(module
  (import "ruby" "memory" (memory 1))
  (import "ruby" "cabi_realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
  (import "ruby" "_initialize" (func $initialize))
  (import "ruby" "ruby-init: func(args: list<string>) -> ()" (func $init (param i32 i32)))
  (import "ruby"
    "rb-eval-string-protect: func(str: string) -> tuple<handle<rb-abi-value>, s32>"
    (func $eval (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))

  (data $arguments "ruby.wasm\00-EUTF-8\00-e_=0\00") ;; 10, 8 and 6 bytes
  (data $program "begin; eval($stdin.read, TOPLEVEL_BINDING, 'main.rb')\n"
                 "rescue Exception => e; warn e.full_message(highlight: false); exit!(1)\n"
                 "ensure; $stdout.flush; end\n")

  (func (export "_start") (local $text i32) (local $list i32)
    (call $initialize)
    (local.set $text (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 24)))
    (memory.init $arguments (local.get $text) (i32.const 0) (i32.const 24))
    (local.set $list (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 24)))
    (i32.store offset=0 (local.get $list) (local.get $text))
    (i32.store offset=4 (local.get $list) (i32.const 10))
    (i32.store offset=8 (local.get $list) (i32.add (local.get $text) (i32.const 10)))
    (i32.store offset=12 (local.get $list) (i32.const 8))
    (i32.store offset=16 (local.get $list) (i32.add (local.get $text) (i32.const 18)))
    (i32.store offset=20 (local.get $list) (i32.const 6))
    (call $init (local.get $list) (i32.const 3))
    (local.set $text (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 152)))
    (memory.init $program (local.get $text) (i32.const 0) (i32.const 152))
    (call $exit (i32.load offset=4 (call $eval (local.get $text) (i32.const 152))))))
