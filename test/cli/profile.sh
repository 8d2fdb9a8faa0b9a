# SPDX-License-Identifier: MIT
# engines: each
# --profile guest: stacks from the program on, and their microseconds, which are what it took of processors.
cat >busy.c <<'EOF'
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#define APART __attribute__((noinline))
static volatile unsigned sink;
APART static void leaf(int n) { for (int i = 0; i < n; i++) sink = sink * 5 + 1; }
APART static void light(int n) { leaf(n); sink++; }
APART static void heavy(int n) { leaf(3 * n); sink++; }
APART static void deep(int n, int to) { if (to) deep(n, to - 1); else leaf(n); sink++; }
APART static void calls(int n) { struct stat s; for (int i = 0; i < n; i++) sink += (unsigned)fstat(1, &s); }
int main(int count, char **words)
{
    int n = count > 1 ? atoi(words[1]) : 0;
    for (int i = 0; i < 100; i++)
        light(n / 100), heavy(n / 100), deep(n / 100, 20), calls(n / 40000);
    return 0;
}
EOF
clang-22 --target=wasm32-wasi -Wno-deprecated -O1 --no-wasm-opt busy.c -o 'bu;sy.wasm'
python3 - "$NEBULET" "$ENGINE" <<'EOF' || exit 1
import json, resource, subprocess, sys
program, engine = sys.argv[1:]
n = str(600000000 // (20 if engine == "interp" else 1))
run = [program, "run", "--engine", engine]
before = resource.getrusage(resource.RUSAGE_CHILDREN)
done = subprocess.run([*run, "--profile", "guest=stacks", "bu;sy.wasm", n], stderr=subprocess.PIPE, text=True)
after = resource.getrusage(resource.RUSAGE_CHILDREN)
assert done.returncode == 0, done.stderr
took = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
stacks = {}
for line in open("stacks"):
    frames, number = line.rsplit(" ", 1)
    stacks[tuple(frames.split(";"))] = int(number)
total = sum(stacks.values()) / 1e6
below = lambda name: sum(t for s, t in stacks.items() if name in s) / 1e6
text = f"{took} s of processors, {total} in stacks: {stacks}, {done.stderr}"
assert abs(total - took) <= 0.05 * took, text
assert all(s[0] == "bu:sy.wasm" for s in stacks), text
assert below("main") > 0.97 * total, text
assert 1.5 < below("heavy") / below("light") < 6, text
assert any(s.count("deep") == 21 and s[-1] == "leaf" for s in stacks), text
assert 0 < below("fd_filestat_get") <= below("calls"), text
EOF
run run --engine "$ENGINE" --profile guest "bu;sy.wasm" 100000
exits 0
says 'profile\.folded: [0-9]+ samples'
[ -e profile.folded ] || fail "no file"
run run --profile guest=none/stacks "bu;sy.wasm"
exits 1
says 'none/stacks'
run run --profile guests "bu;sy.wasm"
exits 2
says 'guest'
