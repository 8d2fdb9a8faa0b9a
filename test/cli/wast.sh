# SPDX-License-Identifier: MIT
# engines: each
# wast: counts, a line for each failure, and exit status by it.
wat m <<'END'
(module (func (export "one") (result i32) (i32.const 1)) (func (export "trap") (unreachable)))
END
bytes bad.wasm 00 61 73 6d 01 00 00 00 01 04 01 60 00 00 03 02 01 00 0a 05 01 03 00 6a 0b
one='{"type": "invoke", "field": "one", "args": []}'
good='{"type": "module", "line": 1, "filename": "m.wasm", "module_type": "binary"},
      {"type": "assert_return", "line": 2, "action": '$one',
       "expected": [{"type": "i32", "value": "1"}]},
      {"type": "assert_trap", "line": 3, "action": {"type": "invoke", "field": "trap", "args": []},
       "text": "unreachable", "expected": []},
      {"type": "assert_invalid", "line": 4, "filename": "bad.wasm", "text": "type mismatch",
       "module_type": "binary"}'
wrong='{"type": "assert_return", "line": 77, "action": '$one',
        "expected": [{"type": "i32", "value": "2"}]}'
text='{"type": "assert_malformed", "line": 5, "filename": "t.wat", "text": "x", "module_type": "text"}'

echo '{"source_filename": "g.wast", "commands": ['"$good"']}' >good.json
run wast --engine "$ENGINE" good.json
exits 0
prints '^4 passed, 0 failed, 0 skipped$'
echo '{"source_filename": "w.wast", "commands": ['"$good, $text, $wrong"']}' >wrong.json
run wast --engine "$ENGINE" wrong.json
exits 1
prints '77'
prints '^4 passed, 1 failed, 1 skipped$'
run wast --engine "$ENGINE" good.json wrong.json
prints '^8 passed, 1 failed, 1 skipped$'
echo 'not json' >broken.json
run wast --engine "$ENGINE" broken.json
exits 1
says 'broken\.json'
