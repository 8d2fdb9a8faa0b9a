# SPDX-License-Identifier: MIT
# --trace prints every call with its name and result, on stderr, and changes nothing else.
run run --trace "$GUESTS/hello.wasm"
exits 0
prints '^Hello, world$'
says fd_write
