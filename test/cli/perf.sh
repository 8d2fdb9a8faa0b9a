# SPDX-License-Identifier: MIT
# perf itself, where it may sample: with --profile perfmap it names the functions in which the program spends its time.
# Everything that it has sampled in our code has a name.
perf record -q -o /dev/null -e cpu-clock:u true >perf 2>&1 || { echo "perf cannot sample: $(head -n 1 perf)" >&2; exit 77; }
cat >busy.c <<'EOF'
static volatile unsigned sink;
__attribute__((noinline)) static void spin(int n) { for (int i = 0; i < n; i++) sink = sink * 5 + 1; }
int main(void) { spin(300000000); return 0; }
EOF
clang-22 --target=wasm32-wasi -Wno-deprecated -O1 --no-wasm-opt busy.c -o busy.wasm
perf record -q -o data -e cpu-clock:u "$NEBULET" run --profile perfmap busy.wasm
perf script -i data -F ip,sym,dso >script
map=$(perf script -i data -F pid | sort -u | tr -d ' ')
map=/tmp/perf-$map.map
python3 - script $map <<'EOF' || { sort script | uniq -c | sort -n | tail >&2; exit 1; }
import sys
ranges = [(int(at, 16), int(size, 16), name) for at, size, name in (line.rstrip("\n").split(" ", 2) for line in open(sys.argv[2]))]
sampled = [line.split(None, 1) for line in open(sys.argv[1])]
low, high = min(at for at, _, _ in ranges), max(at + size for at, size, _ in ranges)
ours = [(int(ip, 16), rest) for ip, rest in sampled if low <= int(ip, 16) < high]
assert len(ours) > 20, "too few samples"
for ip, rest in ours:
    names = [name for at, size, name in ranges if at <= ip < at + size]
    assert len(names) == 1 and rest.startswith(names[0] + " "), (hex(ip), rest, names)
assert sum(rest.startswith("spin ") for _, rest in ours) > 0.9 * len(ours), ours
EOF
rm $map
