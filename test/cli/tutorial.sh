# SPDX-License-Identifier: MIT
# doc/tutorial.md, word by word: its files, its commands one after the other in one shell, and what they print.
# It is left out what needs the server where that has not been built.
command -v clang-22 >/dev/null || { echo "no clang-22" >&2; exit 77; }
python3 - "$HERE/../../doc/tutorial.md" "$NEBULET" <<'EOF'
import os, pathlib, re, socket, subprocess, sys, time
text = pathlib.Path(sys.argv[1]).read_text()
nebulet = pathlib.Path(sys.argv[2])
os.mkdir("bin")
os.symlink(nebulet, "bin/nebulet")
os.environ["PATH"] = f"{os.getcwd()}/bin:{os.environ['PATH']}"
with socket.create_server(("127.0.0.1", 0)) as s:
    port = str(s.getsockname()[1])
if not any((nebulet.parent / at / "svc/http.wasm").exists() for at in (".", "../lib/nebulet")):
    text = text[:text.index("## Serve it")]
commands = []  # and what is printed
for kind, name, block in re.findall(r"^```(\w*) ?(.*)\n((?:.*\n)*?)```$", text, re.M):
    if name:
        pathlib.Path(name).write_text(block)
        continue
    for line in block.replace("8080", port).splitlines():
        if line.startswith("$ "):
            commands.append([line[2:], ""])
        else:
            commands[-1][1] += line + "\n"
assert len(commands) > 10, commands
script = "set -m\n"
for i, (command, _) in enumerate(commands):
    script += f"echo 'MARK {i}'\n(exit $status)\n{command}\nstatus=$?\n"
    if command.endswith("&"):  # until it says so
        script += "for i in $(seq 600); do grep -q 'serving at' log && break; sleep 0.1; done\n"
with open("log", "wb") as log:
    subprocess.run(["bash", "-c", "status=0\n" + script], stdout=log, stderr=subprocess.STDOUT, timeout=250)
said = re.split(r"^MARK \d+\n", pathlib.Path("log").read_text(), flags=re.M)[1:]
assert len(said) == len(commands), said
for (command, wanted), found in zip(commands, said):
    pattern = "(?s:.*)".join(re.escape(part) for part in wanted.split("..."))
    if not re.fullmatch(pattern, found):
        sys.exit(f"$ {command}\n{found}\nexpected:\n{wanted}")
EOF
