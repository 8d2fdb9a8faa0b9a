# SPDX-License-Identifier: MIT
# Names in a module may hold anything: no escape sequence of theirs gets to the terminal.
clean() {
    ! grep -q "$(printf '\033')" out err || fail "an escape sequence came through"
}
wat names <<'END'
(module (func $f (export "\1b[2J") (param i32) (unreachable)))
END
wat import <<'END'
(module (import "\1b[2J" "\1b[2J" (func)))
END
wat twice <<'END'
(module (func (export "\1b[2J")) (func (export "\1b[1J")))
END
sed 's/\[1J/[2J/' twice.wasm >duplicate.wasm
run run names.wasm
exits 1
says 'exports .\[2J'
clean
run inspect names.wasm
exits 0
prints '.\[2J'
clean
run inspect import.wasm
exits 0
clean
run run import.wasm
exits 1
says 'no module ".\[2J"'
clean
run validate duplicate.wasm
exits 1
says 'duplicate export name ".\[2J"'
clean
