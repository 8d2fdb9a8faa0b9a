# SPDX-License-Identifier: MIT
# engines: each
# The program's exit code is passed on, a trap is 134, and --engine runs what it says.
run run --engine "$ENGINE" "$GUESTS/hello.wasm"
exits 0
silent
prints '^Hello, world$'
run run --engine "$ENGINE" "$GUESTS/exit_code.wasm"
exits 113
run run --engine "$ENGINE" "$GUESTS/trap_unreachable.wasm"
exits 134
says unreachable
run run --engine="$ENGINE" "$GUESTS/hello.wasm"
exits 0
