# SPDX-License-Identifier: MIT
# run --gdb: GDB's backtrace goes through the program's functions, from one of ours that they call and from themselves, at
# each instruction of a prologue; and through arguments on the stack, which callees pop.
command -v gdb >/dev/null || { echo "no gdb" >&2; exit 77; }
cat >frames.c <<'EOF'
#include <unistd.h>
#define APART __attribute__((noinline))
APART int many(int a, int b, int c, int d, int e, int f, int g, int h, int i)
{
    write(1, "x\n", 2);
    return a + b + c + d + e + f + g + h + i;
}
APART int inner(int n) { return many(n, 1, 2, 3, 4, 5, 6, 7, 8) + n; }
APART int outer(int n) { return inner(n) * 2 + 1; }
int main(int n, char **words) { (void)words; return outer(n) + n; }
EOF
clang-22 --target=wasm32-wasi -Wno-deprecated -O1 --no-wasm-opt frames.c -o frames.wasm
cat >commands <<'EOF'
handle SIGSEGV SIG34 nostop noprint pass
break jobs_run
run
hbreak many
continue
echo at many\n
bt
stepi
echo one on\n
bt
stepi
echo two on\n
bt
delete
break wasi_fd_write
continue
echo at the call\n
bt
delete
continue
EOF
timeout 100 gdb -nx -batch -x commands --args "$NEBULET" run --gdb frames.wasm >seen 2>&1 </dev/null || :
python3 - seen <<'EOF' || { cat seen >&2; exit 1; }
import re, sys
text = open(sys.argv[1]).read()
for place, first in ("at many", []), ("one on", []), ("two on", []), ("at the call", ["__wasi_fd_write", "write"]):
    part = text.split(place + "\n")[1]
    frames = re.findall(r"^#\d+ +(?:0x[0-9a-f]+ in )?([^ ]+) \(", part.split("\n#0")[0] if not part.startswith("#0") else part, re.M)
    frames = frames[:frames.index("start") + 1]
    at = frames.index("many")
    assert frames[at - len(first):at] == first, (place, frames)
    assert frames[at:at + 4] == ["many", "inner", "outer", "main"], (place, frames)
    assert frames.index("_start") < frames.index("arch_enter") < frames.index("start"), (place, frames)
assert "exited with code 0116" in text, "it did not go on"
EOF
run run --gdb --engine interp frames.wasm
exits 2
says 'interp'
