# SPDX-License-Identifier: MIT
# --profile perfmap: the file in which perf looks for names has each function that was called, and no two overlap.
"$NEBULET" run --profile perfmap "$GUESTS/hello.wasm" >out 2>err &
process=$!
wait $process
code=$? shown="run --profile perfmap"
map=/tmp/perf-$process.map
prints '^Hello, world$'
silent
grep -Eq '^[0-9a-f]+ [0-9a-f]+ _start$' $map || { cat $map >&2; fail "no _start"; }
python3 - $map <<'EOF'
import sys
ranges = sorted((int(line.split()[0], 16), int(line.split()[1], 16)) for line in open(sys.argv[1]))
assert len(ranges) > 5 and all(size for _, size in ranges), ranges
assert all(at + size <= after for (at, size), (after, _) in zip(ranges, ranges[1:])), ranges
EOF
rm $map
run run --profile everything "$GUESTS/hello.wasm"
exits 2
says perfmap
