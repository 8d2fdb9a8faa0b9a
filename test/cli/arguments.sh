# SPDX-License-Identifier: MIT
# engines: each
# Everything after FILE is the program's, options that look like ours included; -- ends ours.
run run --engine "$ENGINE" "$GUESTS/args.wasm" --help -- --engine none </dev/null
exits 0
prints '^argc 5$'
prints '^argv\[1\] = <--help>$'
prints '^argv\[2\] = <-->$'
prints '^argv\[3\] = <--engine>$'
run run --engine "$ENGINE" -- "$GUESTS/args.wasm" x
prints '^argc 2$'
prints '^argv\[1\] = <x>$'
