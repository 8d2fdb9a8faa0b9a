# SPDX-License-Identifier: MIT
# --accel: KVM where it can be used, and otherwise not; what is chosen is what QEMU is told. (A QEMU of
# our own prints it.)
mkdir bin
cat >bin/qemu-system-x86_64 <<'END'
#!/bin/sh
while [ $# -gt 0 ]; do
    [ "$1" != -accel ] || printf ' %s' "$2" >&2
    shift
done
echo " chosen" >&2
END
chmod +x bin/qemu-system-x86_64
PATH="$PWD/bin:$PATH"
chosen() { # WHAT ARGS...
    wanted=$1
    shift
    run boot "$@" "$GUESTS/hello.wasm" </dev/null
    says "^ $wanted chosen$"
}
chosen tcg --accel tcg
run boot --accel hvf "$GUESTS/hello.wasm"
exits 2
says '^nebulet: --accel hvf: there are kvm and tcg$'

# Only KVM's own calls tell whether it is there (a file is none), and the CPU's flags whether it is of any use to us.
usable=$(python3 -c '
import fcntl, os, re
try:
    if not re.search(r"^flags.* (vmx|svm)\b", open("/proc/cpuinfo").read(), re.M):
        raise OSError
    os.close(fcntl.ioctl(os.open("/dev/kvm", os.O_RDWR), 0xae01, 0))
    print("yes")
except OSError:
    print("no")')
if [ "$usable" = yes ]; then
    chosen 'kvm tcg'
    chosen 'kvm' --accel kvm
else
    chosen tcg
    ! grep -q KVM err || fail "unasked"
    chosen tcg -v
    says '^nebulet: no KVM \(/dev/kvm: .*\): the machine is emulated$'
    run boot --accel kvm "$GUESTS/hello.wasm"
    exits 2
    says '^nebulet: --accel kvm: /dev/kvm: '
    says '^hint: .*--accel tcg'
fi
# A device that is there and does not answer.
if unshare -rm true 2>/dev/null; then
    code=0
    shown='boot with a file as /dev/kvm'
    unshare -rm sh -c 'mount -t tmpfs none /dev && : >/dev/kvm && : >/dev/null && "$0" boot -v "$1"' \
        "$NEBULET" "$GUESTS/hello.wasm" >out 2>err || code=$?
    says '^ tcg chosen$'
    says 'no KVM \(/dev/kvm: Inappropriate ioctl'
fi
