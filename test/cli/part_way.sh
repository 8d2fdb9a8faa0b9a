# SPDX-License-Identifier: MIT
# engines: each
# Several programs of which one cannot begin: none runs, and all is taken apart again.
command -v qemu-system-x86_64 >/dev/null || { echo "no QEMU here" >&2; exit 77; }
wat nothing <<'END'
(module (func (export "other")))
END
wat unlinkable <<'END'
(module (import "nobody" "has" (func)) (func (export "_start")))
END
wat parameters <<'END'
(module (func (export "_start") (param i32)))
END
wat traps <<'END'
(module (func $start unreachable) (start $start) (func (export "_start")))
END
wat large <<'END'
(module (memory 60000) (func (export "_start")))
END
echo '(module)' >text.wasm
cp "$GUESTS/hello.wasm" good.wasm
for how in run boot; do
    for bad in nothing unlinkable parameters text missing; do
        set -- "good.wasm ++ $bad.wasm"
        [ "$how$bad" != bootunlinkable ] && [ $how = boot ] ||
            set -- "$@" "$bad.wasm ++ good.wasm" "good.wasm ++ good.wasm ++ $bad.wasm"
        for order; do
            run_within 300 $how --engine "$ENGINE" $order
            exits 1
            says "^nebulet: (.*/)?$bad\.wasm"
            [ ! -s out ] || fail "a program has run"
        done
    done
    run_within 300 $how --engine "$ENGINE" --max-memory 1M good.wasm ++ large.wasm
    exits 1
    [ ! -s out ] || fail "a program has run"
done
# A start function is a part of the program's run already.
run_within 300 run --engine "$ENGINE" good.wasm ++ traps.wasm
exits 134
