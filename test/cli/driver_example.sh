# SPDX-License-Identifier: MIT
# doc/drivers.md, "One of your own": its programs and manifest, by its commands.
root=$(cd "$HERE/../.." && pwd)
[ -f "$root/build/user/init.wasm" ] && [ -f "$root/build/sdk/nebulet.cfg" ] || { echo "make userspace has not been run" >&2; exit 77; }
command -v qemu-system-x86_64 >qemu || { echo "QEMU is not installed" >&2; exit 77; }
ln -s "$root/build" "$root/user" .
python3 - "$root/doc/drivers.md" <<'EOF'
import pathlib, re, sys
text = pathlib.Path(sys.argv[1]).read_text().split("\n## One of your own\n")[1].split("\n## ")[0]
blocks = re.findall(r"^```c?\n(.*?)^```$", text, re.M | re.S)
for name, block in zip(["dice.c", "player.c", "init.manifest", "commands"], blocks, strict=True):
    pathlib.Path(name).write_text(block)
EOF
code=0 shown=commands
timeout 100 sh -e commands >out 2>err </dev/null || code=$?
exits 1
tr -d '\r' <out >lines
[ "$(grep -c '^[1-6]$' lines)" = 10 ] && grep -q '^init: player: exit code 0$' lines || fail "$(cat lines)"
