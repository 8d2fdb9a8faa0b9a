# SPDX-License-Identifier: MIT
"""The end of the stack, and of memory, met by every way from compiled code into C.

A program recurses and calls the host, or the runtime, in every frame, until there is no stack left:
then it has trapped, and nothing else has happened. `greedy` ones take all the memory there is
before, so that what is missing is a page of the stack, anywhere; the `waiting` ones have threads,
each of which parks in a call at the same depth, which is where one page of the stack ends.
"""
import tempfile

from . import base

IMPORTS = {
    "null": ("nebulet", "", "i64"),
    "event_create": ("nebulet", "", "i64"),
    "thread_yield": ("nebulet", "", "i64"),
    "object_signal": ("nebulet", "i32 i32 i32", "i64"),
    "object_wait_one": ("nebulet", "i32 i32 i64", "i64"),
    "print": ("nebulet", "i32 i32", "i64"),
    "stream_write": ("nebulet", "i32 i32 i32 i64", "i64"),
    "object_wait_many": ("nebulet", "i32 i32 i64", "i64"),
    "wasm_compile": ("nebulet", "i32 i32 i32 i32", "i64"),
    "process_create": ("nebulet", "i32 i32 i32 i32 i32 i32", "i64"),
    "channel_create": ("nebulet", "i32", "i64"),
    "channel_send": ("nebulet", "i32 i32 i32 i32 i32 i64", "i64"),
    "channel_call": ("nebulet", "i32 i32 i32 i32 i32 i64", "i64"),
    "channel_recv": ("nebulet", "i32 i32 i32 i32 i32 i32 i64", "i64"),
    "thread_spawn": ("nebulet", "i32 i32 i32", "i64"),
    "fd_write": ("wasi_snapshot_preview1", "i32 i32 i32 i32", "i32"),
    "path_rename": ("wasi_snapshot_preview1", "i32 i32 i32 i32 i32 i32", "i32"),
    "random_get": ("wasi_snapshot_preview1", "i32 i32", "i32"),
}
ZEROS = {"i32": "(i32.const 0)", "i64": "(i64.const 0)"}


def host(name, *given):
    """A call with these arguments, and zeros for the others."""
    types = IMPORTS[name][1].split()
    return f"(drop (call ${name} {' '.join([*given, *(ZEROS[t] for t in types[len(given):])])}))"


DEEP = {
    "null": host("null"),
    "indirect": "(drop (call_indirect (type $null_type) (i32.const 0)))",
    "passed turns": host("thread_yield"),
    "event": host("event_create"),
    "print": host("print"),
    "stream": host("stream_write"),
    "wait for many": host("object_wait_many"),
    "compile": "(if (i32.eqz (i32.and (local.get $n) (i32.const 8191))) (then " + host(
        "wasm_compile", "(i32.const 1024)", "(i32.const 8)", "(i32.const 2048)", "(i32.const 64)") + "))",
    "process": host("process_create"),
    "six arguments": host("channel_send"),
    "hands over": host("channel_call"),
    "hands over, seven": host("channel_recv"),
    "file": host("fd_write", "(i32.const 1)"),
    "paths": host("path_rename", "(i32.const 3)"),
    "random": host("random_get", "(i32.const 0)", "(i32.const 64)"),
    "memory.grow": "(drop (memory.grow (i32.const 0)))",
    "table.grow": "(drop (table.grow $t (ref.null func) (i32.const 0)))",
    "memory.fill": "(memory.fill (i32.const 0) (i32.const 0) (i32.const 100))",
    "memory.copy": "(memory.copy (i32.const 0) (i32.const 50) (i32.const 100))",
    "table.fill": "(table.fill $t (i32.const 1) (ref.null func) (i32.const 1))",
    "notify": "(drop (memory.atomic.notify (i32.const 0) (i32.const 1)))",
    "wait": "(drop (memory.atomic.wait32 (i32.const 0) (i32.const 1) (i64.const 0)))",
    "polls": "(loop $p (br_if $p (i32.and (global.get $zero) (i32.const 1))))",
    "large frames": "(call $large (local.get $n))",
}
WAITING = {
    "event": host("object_wait_one", "(global.get $other)", "(i32.const 16)", "(i64.const -1)"),
    "answer": "(drop (call $channel_call (i32.load (i32.const 4)) (i32.const 0) (i32.const 4) "
              "(i32.const 0) (i32.const 4) (i64.const -1)))",
    "message": "(drop (call $channel_recv (i32.load (i32.const 4)) (i32.const 0) (i32.const 4) "
               "(i32.const 0) (i32.const 0) (i32.const 0) (i64.const -1)))",
    "word": "(drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))",
}
EXHAUST = """
    (loop $g (br_if $g (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    (loop $g (br_if $g (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    (loop $e (br_if $e (i64.ge_s (call $event_create) (i64.const 0))))"""


def module(body, shared):
    imports = [f'(import "{m}" "{name}" (func ${name} (param {types}) (result {result})))'
               for name, (m, types, result) in IMPORTS.items()]
    return f"""(module {' '.join(imports)}
  (type $null_type (func (result i64)))
  (memory (export "memory") 1 {'8192 shared' if shared else ''})
  (data (i32.const 1024) "\\00asm\\01\\00\\00\\00")
  (table $t 4 funcref) (elem (i32.const 0) func $null)
  (global $zero (mut i32) (i32.const 0))
  (global $gate (mut i32) (i32.const 0)) (global $other (mut i32) (i32.const 0))
  {body})"""


def deep(what, greedy):
    """Recursion with that statement in every frame. A sibling takes turns with it."""
    large = " ".join(f"(local $l{i} i64)" for i in range(2000))
    use = " ".join(f"(local.set $l{i} (i64.const {i}))" for i in range(0, 2000, 100))
    return module(f"""
  (func $large (param $n i32) {large} {use} (drop (call $null)))
  (func $r (param $n i32) (result i32) {DEEP[what]}
    (if (result i32) (i32.lt_s (local.get $n) (i32.const 0)) (then (i32.const 0))
      (else (i32.add (call $r (i32.add (local.get $n) (i32.const 1))) (local.get $n)))))
  (func $sibling (param i32) (loop $l (drop (call $thread_yield)) (br $l)))
  (elem (i32.const 1) func $sibling)
  (func (export "_start")
    (drop (call $thread_spawn (i32.const 1) (i32.const 0) (i32.const 0)))
    (drop (call $thread_yield)) (drop (call $r (i32.const -1))) ;; both are compiled
    {EXHAUST if greedy else ''}
    (drop (call $r (i32.const 0))))""", what == "wait")


def waiting(what, depth, threads=48):
    """Threads that park at that depth when all memory is gone."""
    return module(f"""
  (func $r (param $n i32) (result i32)
    (if (i32.lt_s (local.get $n) (i32.const 0)) (then (return (i32.const 0))))
    (if (result i32) (i32.eqz (local.get $n)) (then {WAITING[what]} (i32.const 1))
      (else (i32.add (call $r (i32.sub (local.get $n) (i32.const 1))) (local.get $n)))))
  (func $thread (param i32)
    (drop (call $object_wait_one (global.get $gate) (i32.const 16) (i64.const -1)))
    (drop (call $r (i32.const {depth}))))
  (elem (i32.const 1) func $thread)
  (func (export "_start") (local $i i32)
    (global.set $gate (i32.wrap_i64 (call $event_create)))
    (global.set $other (i32.wrap_i64 (call $event_create)))
    (drop (call $channel_create (i32.const 4)))
    (loop $l
      (drop (call $thread_spawn (i32.const 1) (i32.const 0) (i32.const 0)))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                          (i32.const {threads}))))
    (local.set $i (i32.const 0))
    (loop $y (drop (call $thread_yield))
      (br_if $y (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 300))))
    (drop (call $r (i32.const -1))) ;; it is compiled
    {EXHAUST}
    (drop (call $object_signal (global.get $gate) (i32.const 0) (i32.const 16)))
    (local.set $i (i32.const 0))
    (loop $y (drop (call $thread_yield))
      (br_if $y (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                          (i32.const 1000)))))""", what == "word")


def assemble(scratch, name, text):
    wat, wasm = f"{scratch}/{name}.wat", f"{scratch}/{name}.wasm"
    with open(wat, "w", encoding="ascii") as source:
        source.write(text)
    base.run(["wat2wasm", "--enable-threads", wat, "-o", wasm]).check()
    return wasm


def exhausted(bench, engine):
    """On Linux, with all memory that there may be."""
    with tempfile.TemporaryDirectory(prefix="nebulet-stack-") as scratch:
        for what in DEEP:
            result = bench.nebulet("run", "--engine", engine, assemble(scratch, "deep", deep(what, False)))
            if result.code != base.TRAP or b"wasm trap: call stack exhausted" not in result.err:
                raise base.Failed(f"{what}: exit code {result.code}\n" + base.excerpt(result.err))
    return base.Counts(passed=len(DEEP))
