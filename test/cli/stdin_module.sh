# SPDX-License-Identifier: MIT
# FILE may be - : the module comes from standard input.
run run - <"$GUESTS/hello.wasm"
exits 0
prints '^Hello, world$'
