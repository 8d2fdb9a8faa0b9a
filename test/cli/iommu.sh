# SPDX-License-Identifier: MIT
# boot --iommu: folders, disks, standard streams and the network's device behind an IOMMU, and what is said where there is none.
command -v qemu-system-x86_64 >/dev/null || { echo "no QEMU here" >&2; exit 77; }
cat >cp.c <<'END'
#include <stdio.h>
int main(int argc, char **argv)
{
    char text[100];
    for (int i = 1; i < argc; i++) {
        FILE *in = fopen(argv[i], "r+");
        if (!in || !fgets(text, sizeof text, in))
            return 3;
        fputs(text, stdout);
        rewind(in);
        fputs("HELLO", in);
        fclose(in);
    }
    while (fgets(text, sizeof text, stdin))
        fputs(text, stdout);
    return 0;
}
END
clang-22 --target=wasm32-wasi -Wno-deprecated -O2 -w --no-wasm-opt cp.c -o cp.wasm
mkdir folder
echo "hello from a folder" >folder/file
run disk create disk --size 1M
exits 0
echo "hello from a disk" >text
run disk put disk text /file
exits 0
seq 1 60000 >numbers
(sleep 0.3; cat numbers) | run boot --iommu --dir folder::/folder --disk disk::/disk cp.wasm /folder/file /disk/file
exits 0
{ echo "hello from a folder"; echo "hello from a disk"; cat numbers; } | cmp - out || fail "another output"
[ "$(cat folder/file)" = "HELLO from a folder" ] || fail "the folder has $(cat folder/file)"
run disk cat disk /file
prints '^HELLO from a disk$'

run boot --iommu --machine microvm cp.wasm </dev/null
exits 2
says '^nebulet: --iommu: a machine of type microvm has no IOMMU; --machine q35 has one$'

# A machine without one: by hand, for boot starts none.
qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot -machine q35 -m 64 -cpu max -serial stdio \
    -device isa-debug-exit,iobase=0xf4,iosize=4 -initrd numbers -kernel "${NEBULET%/*}/nebulet.elf" -append "iommu init=/cp.wasm" </dev/null >by_hand 2>&1 || code=$?
[ "$code" = 3 ] || fail "exit code $code: $(cat by_hand)"
grep -q '^nebulet: iommu: this machine has none' by_hand || fail "$(cat by_hand)"
