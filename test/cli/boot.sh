# SPDX-License-Identifier: MIT
# boot: what is missing is said, with what to do about it. That it runs programs is the boot suite's.
run boot --machine pdp11 "$GUESTS/hello.wasm" </dev/null
exits 2
says 'microvm and q35'
run boot --memory 1M "$GUESTS/hello.wasm" </dev/null
exits 2
says '16M'
run boot no-such.wasm </dev/null
exits 1
says 'no-such\.wasm: No such file'
run boot --dir no-such-folder "$GUESTS/hello.wasm" </dev/null
exits 1
says 'no-such-folder: No such file'
export NEBULET_KERNEL="$PWD/none.elf"
run boot "$GUESTS/hello.wasm" </dev/null
exits 1
says 'none\.elf: No such file'
: >kernel.elf
export NEBULET_KERNEL="$PWD/kernel.elf" PATH="$PWD"
run boot "$GUESTS/hello.wasm" </dev/null
export PATH=/usr/bin:/bin
exits 1
says 'qemu-system-x86_64: No such file'
says 'hint: .*install'
