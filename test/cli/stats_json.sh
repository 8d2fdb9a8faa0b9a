# SPDX-License-Identifier: MIT
# engines: each
# --stats=json: a line for each process, an object with the keys that doc/debugging.md names.
for command in run boot; do
run $command --engine "$ENGINE" --stats=json "$GUESTS/hello.wasm" ++ "$GUESTS/exit_code.wasm"
prints '^Hello, world$'
python3 - err "$HERE/../../doc/debugging.md" <<'EOF'
import json, re, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
named = re.findall(r"^\| `(\w+)` \|", open(sys.argv[2]).read(), re.M)
assert sorted(line["name"] for line in lines) == ["exit_code.wasm", "hello.wasm"], lines
for line in lines:
    assert list(line) == named, (list(line), named)
    assert line["cpu_ns"] > 0 and line["switches"] > 0 and line["memory_peak"] >= 65536, line
EOF
done
cp "$GUESTS/hello.wasm" 'a"b\c.wasm'
run run --engine "$ENGINE" --stats=json 'a"b\c.wasm'
python3 -c 'import json; assert json.load(open("err"))["name"] == "a\"b\\c.wasm"'
run run --stats=xml "$GUESTS/hello.wasm"
exits 2
says 'json'
