# SPDX-License-Identifier: MIT
# Output that nobody reads any more, that is read slowly, that cannot be written: a program sees the
# same of it in a machine as here.
command -v qemu-system-x86_64 >/dev/null || { echo "no QEMU here" >&2; exit 77; }
clang-22 --target=wasm32-wasi -Wno-deprecated -O2 -w --no-wasm-opt "$HERE/output.c" -o output.wasm

python=$(command -v python3) || { echo "no python3 here" >&2; exit 77; }
cat >pipes.py <<'END'
"""pipes.py KIND COMMAND...: runs a command whose standard output is a pipe of that kind; prints how
many bytes came, and a hash of them. The exit code is the command's."""
import hashlib, os, subprocess, sys, time
kind, command = sys.argv[1], sys.argv[2:]
if kind == "socket":
    import socket
    ours, theirs = socket.socketpair()
    ours.setblocking(True)
    theirs.setblocking(False)
    read = lambda: ours.recv(3000)
else:
    ours, theirs = os.pipe()
    os.set_blocking(theirs, kind == "blocking")
    read = lambda: os.read(ours, 3000)
child = subprocess.Popen(command, stdout=theirs, stdin=subprocess.DEVNULL)
os.close(theirs) if isinstance(theirs, int) else theirs.close()
time.sleep(0.5)  # it is full meanwhile
total, digest = 0, hashlib.sha256()
while data := read():
    total += len(data)
    digest.update(data)
    time.sleep(0.0005)
print(total, digest.hexdigest())
sys.exit(child.wait())
END
wat prints <<'END'
(module (import "nebulet" "print" (func $print (param i32 i32) (result i64)))
  (memory (export "memory") 1)
  (func (export "_start") (local $i i32)
    (memory.fill (i32.const 0) (i32.const 0x61) (i32.const 10000))
    (loop $l
      (drop (call $print (i32.const 0) (i32.const 10000)))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 30))))))
END
for how in run boot; do
    for fd in 1 2; do
        # The reader goes away.
        shown="$how output.wasm 100000 $fd | head -c 10"
        if [ $fd = 1 ]; then
            { { code=0; timeout 300 "$NEBULET" $how output.wasm 100000 1 2>other || code=$?; echo $code >code; } |
                head -c 10 >out; } 2>err
        else
            { { code=0; timeout 300 "$NEBULET" $how output.wasm 100000 2 2>&3 >other || code=$?; echo $code >code; } 3>&1 |
                head -c 10 >out; } 2>err
        fi
        code=$(cat code)
        exits 64 # PIPE
        [ "$(wc -c <out)" = 10 ] || fail "nothing has arrived"
        grep -q '^less: Broken pipe$' other || fail "the program says: $(cat other)"
    done

    # It is slow.
    for kind in blocking nonblocking socket; do
        shown="$how output.wasm 3000, a pipe that is $kind"
        code=0
        timeout 300 python3 pipes.py $kind "$NEBULET" $how output.wasm 3000 >out 2>err || code=$?
        exits 0
        says '^all: written$'
        prints "^300000 [0-9a-f]+$"
        [ ! -f wanted ] || cmp wanted out || fail "not what was written"
        cp out wanted
    done

    shown="$how prints.wasm, a pipe that is nonblocking"
    code=0
    timeout 300 python3 pipes.py nonblocking "$NEBULET" $how prints.wasm >out 2>err || code=$?
    exits 0
    prints '^300000 '

    # It is full.
    run_within 300 $how output.wasm 1 2
    exits 0
    code=0
    shown="$how output.wasm >/dev/full"
    timeout 300 "$NEBULET" $how output.wasm 100000 >/dev/full 2>err || code=$?
    exits 51 # NOSPC
    says 'less: No space left on device'

    # Errors that cannot be written do not keep output from being.
    code=0
    timeout 300 "$NEBULET" $how output.wasm 10 1 >out 2>/dev/full || code=$?
    exits 0
    [ "$(wc -c <out)" = 1000 ] || fail "output is missing"

    # Which of them are terminals.
    if command -v script >/dev/null; then
        script -qec "'$NEBULET' $how output.wasm 1 1 >out 2>err" /dev/null </dev/null >/dev/null
        says '^terminals: 100$'
        script -qec "'$NEBULET' $how output.wasm 1 1 </dev/null >out" /dev/null </dev/null >err
        says '^terminals: 001'
    fi
done
