# SPDX-License-Identifier: MIT
# The README's commands: that for one's own C program, and each line of the short tour, on files of the names that it has.
printf '#include <stdio.h>\nint main(void) { return puts("it works") < 0; }\n' >hello.c
command=$(grep '^clang-22 .*hello\.c -o hello\.wasm$' "$HERE/../../README.md")
shown=$command
code=0
sh -c "$command" >out 2>err || code=$?
exits 0
silent
run run hello.wasm
exits 0
prints '^it works$'

cp hello.wasm app.wasm && cp hello.wasm a.wasm && cp hello.wasm b.wasm && cp hello.wasm api.wasm
mkdir data www
echo words >in
wat math <<'END'
(module (func $fac (export "fac") (param i64) (result i64) (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 1))
 (else (i64.mul (local.get 0) (call $fac (i64.sub (local.get 0) (i64.const 1))))))))
END
cat >server.c <<'END'
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void)
{
    int to;
    while ((to = accept(3, NULL, NULL)) >= 0)
        write(to, "served\n", 7), close(to);
    return perror("accept"), 1;
}
END
clang-22 --target=wasm32-wasi -Wno-deprecated -O2 --no-wasm-opt server.c -o server.wasm
python3 - "$HERE/../../README.md" "$NEBULET" <<'EOF'
import os, pathlib, re, socket, subprocess, sys, time
text, nebulet = pathlib.Path(sys.argv[1]).read_text(), sys.argv[2]
tour = re.search(r"^## A short tour\n\n```\n(.*?)```", text, re.M | re.S)[1]
lines = [re.sub(r"\s+#.*", "", line) for line in tour.splitlines()]
ours = [line for line in lines if line.startswith("build/nebulet ")]
assert len(ours) > 18 and len(ours) == len([line for line in lines if not line.startswith("make")]), lines
svc = any((pathlib.Path(nebulet).parent / at / "svc/http.wasm").exists() for at in (".", "../lib/nebulet"))
net = any((pathlib.Path(nebulet).parent / at / "svc/net.wasm").exists() for at in (".", "../lib/nebulet"))
wanted = {"--invoke": "2432902008176640000", "--trace ": "fd_write", "inspect app": "features:", "help": "Commands:",
          "validate": "", "--stats": "cpu ms", "--code": "_start>"}
for line in ours:
    stays = "waits" if "--gdb" in line else "serving|listening" if " serve " in line or "--listen" in line else None
    if " serve " in line and not (net if "--boot" in line else svc):
        print("left out:", line)
        continue
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    command = line.replace("build/nebulet", nebulet).replace("8080", str(port))
    if " serve " in line and "--listen" not in line:
        command = command.replace(" serve ", f" serve --listen tcp:127.0.0.1:{port} ")
    command = command.replace("--gdb ", f"--gdb={port} ")
    if not stays:
        done = subprocess.run(command, shell=True, capture_output=True, timeout=200, stdin=subprocess.DEVNULL)
        said = (done.stdout + done.stderr).decode(errors="replace")
        if "> out" in command:
            said += pathlib.Path("out").read_text()
        expect = next((text for key, text in wanted.items() if key in line), "it works")
        assert done.returncode == 0 and expect in said, (line, done.returncode, said[:2000])
        continue
    with open("said", "wb") as log:
        p = subprocess.Popen("exec " + command, shell=True, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    until = time.time() + 150
    while time.time() < until and p.poll() is None and not re.search(stays, pathlib.Path("said").read_text()):
        time.sleep(0.1)
    said = pathlib.Path("said").read_text()
    assert re.search(stays, said) and p.poll() is None, (line, p.poll(), said)
    p.terminate()
    p.wait(60)
EOF
