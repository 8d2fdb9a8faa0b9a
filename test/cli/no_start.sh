# SPDX-License-Identifier: MIT
# A module without _start is no program: the message says so and what to do.
wat lib <<'END'
(module (func (export "add") (param i32 i32) (result i32) (i32.const 0)))
END
run run lib.wasm
exits 1
says _start
says --invoke
