# SPDX-License-Identifier: MIT
# --argv0 is the program's own name, and needs not be that of the file.
run run --argv0 'another name' "$GUESTS/args.wasm" one
exits 0
prints '^argv\[0\] = <another name>$'
prints '^argv\[1\] = <one>$'
run run "$GUESTS/args.wasm"
prints '^argv\[0\] = <.*args\.wasm>$'
