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
        light(n / 100), heavy(n / 100), deep(n / 100, 20), calls(n / 10000);
    return 0;
}
EOF
clang-22 --target=wasm32-wasi -Wno-deprecated -O1 --no-wasm-opt busy.c -o 'bu;sy.wasm'
for n in 40000000 400000000; do
    python3 - "$NEBULET" "$ENGINE" $n <<'EOF' || exit 1
import json, resource, subprocess, sys
program, engine, n = sys.argv[1:]
n = str(int(n) // (20 if engine == "interp" else 1))
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
if int(n) >= 20000000:
    assert abs(total - took) <= 0.05 * took, text
    assert all(s[0] == "bu:sy.wasm" for s in stacks), text
    rooted = sum(t for s, t in stacks.items() if "main" in s) / 1e6
    assert rooted > 0.97 * total, text
    if total > 1: # a few hundred samples are too few for a ratio
        assert 2 < below("heavy") / below("light") < 4.5, text
    assert any(s.count("deep") == 21 and s[-1] == "leaf" for s in stacks), text
    host = sum(t for s, t in stacks.items() if s[-1] == "fd_fdstat_get" or s[-1] == "fd_filestat_get") / 1e6
    assert host > 0 and below("calls") >= host, text
EOF
done
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
