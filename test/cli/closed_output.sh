# SPDX-License-Identifier: MIT
# A reader that goes away is an error for the program, not a crash or a hang.
code=0
shown='run output.wasm | head -1'
{ timeout 20 "$NEBULET" run "$GUESTS/output.wasm" 2>err && echo 0 >status || echo $? >status; } | head -1 >out
prints 'one at a time'
[ "$(cat status)" -lt 124 ] || { code=$(cat status); fail "ended by a signal or by the clock"; }
