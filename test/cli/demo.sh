# SPDX-License-Identifier: MIT
# engines: each
# The demonstration program counts words, and its output depends on the input alone.
clang-22 --target=wasm32-wasi -Wno-deprecated --no-wasm-opt -O2 "$HERE/../../user/demo/wordfreq.c" \
    -o wordfreq.wasm
printf "The cat's hat.\nthe Hat, THE dog's; naïve naïve'\n" >text
run run --engine "$ENGINE" wordfreq.wasm 3 <text
exits 0
silent
prints '^50 bytes, 2 lines, 9 words, 5 of them different$'
prints '^  1\. the +3  33\.33 %$'
prints '^  2\. hat +2  22\.22 %$'
prints '^  3\. naïve +2'
[ "$(wc -l <out)" = 4 ] || fail "expected four lines"
run run --engine "$ENGINE" wordfreq.wasm </dev/null
exits 0
prints '^0 bytes, 0 lines, 0 words, 0 of them different$'
run run --engine "$ENGINE" wordfreq.wasm 1 2
exits 2
says usage
