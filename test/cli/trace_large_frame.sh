# SPDX-License-Identifier: MIT
# engines: each
# A stack that is too short for a large frame: the trace still shows the callers.
{
    echo '(module (func $large (param i64) (result i64)'
    seq -f '(i64.add (local.get 0) (i64.const %.0f))' 5000
    echo '(call $large (local.get 0))'
    yes i64.add | head -n 5000
    echo ') (func $start (export "_start") (drop (call $large (i64.const 1)))))'
} | wat large
run run --engine "$ENGINE" large.wasm
exits 134
says 'call stack exhausted'
says '^  at large '
says '^  ... [0-9]+ more'
