;; The header of an interpreter's loop is put at its back edges, too: a trap of the load in it is that load's.
(module
  (memory (export "memory") 1)
  (data (i32.const 0) "\00\01\00\00")
  (func $run (param $pc i32) (param $step i32) (result i32) (local $a i32)
    (loop $next
      (block $end (block $b (block $a
        (br_table $a $b $end (i32.load8_u (local.get $pc))))
        (local.set $a (i32.add (local.get $a) (i32.const 1)))
        (local.set $pc (i32.add (local.get $pc) (local.get $step)))
        (br $next))
       (local.set $a (i32.mul (local.get $a) (i32.const 3)))
       (local.set $pc (i32.add (local.get $pc) (local.get $step)))
       (br $next)))
    (local.get $a))
  (func (export "bytes") (result i32) (call $run (i32.const 0) (i32.const 1)))
  (func (export "pages") (result i32) (call $run (i32.const 2) (i32.const 0x4000)))
  (func (export "at_once") (result i32) (call $run (i32.const -7) (i32.const 1))))
