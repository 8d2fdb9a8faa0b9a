# SPDX-License-Identifier: MIT
# engines: each
# An import that nobody has: the message names module and field, and says what there is.
wat unknown <<'END'
(module (import "space" "teleport" (func (param i32))) (func (export "_start")))
END
run run --engine "$ENGINE" unknown.wasm
exits 1
says space
says teleport
says wasi_snapshot_preview1

wat missing <<'END'
(module (import "wasi_snapshot_preview1" "fd_teleport" (func)) (func (export "_start")))
END
run run --engine "$ENGINE" missing.wasm
exits 1
says fd_teleport

# The right name with the wrong type is no better.
wat mistyped <<'END'
(module (import "wasi_snapshot_preview1" "sched_yield" (func (param i64))) (func (export "_start")))
END
run run --engine "$ENGINE" mistyped.wasm
exits 1
says sched_yield
