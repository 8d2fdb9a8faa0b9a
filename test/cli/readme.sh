# SPDX-License-Identifier: MIT
# The command that the README has for one's own C program works, and says nothing.
printf '#include <stdio.h>\nint main(void) { return puts("it works") < 0; }\n' >hello.c
command=$(grep '^clang-22 .*hello\.c -o hello\.wasm$' "$HERE/../../README.md")
shown=$command
code=0
sh -c "$command" >out 2>err || code=$?
exits 0
silent
run run hello.wasm
exits 0
prints '^it works$'
