# SPDX-License-Identifier: MIT
# engines: each
# --env K=V sets, --env K takes ours, nothing else is passed on; the last one wins.
GREETING=inherited
SECRET=hidden
export GREETING SECRET
run run --engine "$ENGINE" --env GREETING --env EMPTY= "$GUESTS/args.wasm"
exits 0
prints '^2 variables$'
prints '^GREETING = <inherited>$'
prints '^EMPTY = <>$'
run run --engine "$ENGINE" "$GUESTS/args.wasm"
prints '^0 variables$'
run run --engine "$ENGINE" --env EQUALS=a=b "$GUESTS/args.wasm"
prints '^EQUALS = <a=b>$'
# --inherit-env passes all of it on, and --env still wins.
run run --engine "$ENGINE" --inherit-env --env GREETING=given "$GUESTS/args.wasm"
exits 0
prints "^$(env -0 | tr -cd '\0' | wc -c) variables$"
prints '^GREETING = <given>$'
