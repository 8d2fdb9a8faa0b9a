// SPDX-License-Identifier: MIT
// Unit test of devices announced on the kernel's command line (plat/pc/device.c), by words that are
// hostile: numbers of any size, forms that are almost right, bytes by chance. Whatever they say, a
// device that is found lies where devices may, away from RAM and from the others, with an input
// that there is; what is right is found. And of who may have an interrupt's input.
#include "plat/pc/device.c"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { CASES = 100000, INPUTS = 24, WORDS = 12 };

struct boot boot;
struct cpu cpu0;
static int passed, failed;
static u64 seed;
#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (what) {                                                                                \
            passed++;                                                                              \
        } else {                                                                                   \
            failed++;                                                                              \
            printf("%s:%d: \"%s\": %s\n", __FILE__, __LINE__, boot.command_line, #what);           \
        }                                                                                          \
    } while (0)

static u32 below(u32 n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (u32)(seed >> 33) % n;
}

// --- The machine: RAM from 3 GiB on for 16 MiB, devices everywhere behind it.
#define RAM_END (DEVICES_FROM + (16 << 20))

bool iommu_on(void)
{
    return false;
}

bool boot_has_ram(u64 from, u64 to)
{
    return from < RAM_END && to > DEVICES_FROM;
}

void direct_map_device(u64 base, u64 size)
{
    CHECK(base >= RAM_END && size <= DEVICES_TO - base);
}

u32 apic_inputs(void)
{
    return INPUTS;
}

static void check_found(void)
{
    CHECK(device_count <= PLAT_DEVICES);
    for (u32 i = 0; i < device_count; i++) {
        const struct plat_range *r = &devices[i].about.ranges[0];
        CHECK(r->base >= RAM_END && r->base + r->size <= DEVICES_TO && r->size >= 0x100);
        CHECK(devices[i].inputs[0] < INPUTS && devices[i].inputs[0] != SERIAL_INPUT);
        for (u32 k = 0; k < i; k++)
            CHECK(!overlap(&devices[k].about.ranges[0], r->base, r->base + r->size));
    }
}

static void look_at(const char *line)
{
    boot.command_line = line;
    device_count = 0;
    read_command_line();
    check_found();
}

// --- Words by chance
static char line[1024];

static void add(const char *text)
{
    strncat(line, text, sizeof line - strlen(line) - 1);
}

static void add_number(void)
{
    static const char *const odd[] = {"",
                                      "0",
                                      "0x",
                                      "-1",
                                      "K",
                                      "0xffffffffffffffff",
                                      "18446744073709551616",
                                      "0xfeb00e00",
                                      "512",
                                      "12",
                                      "4",
                                      "24",
                                      "4G",
                                      "1M",
                                      "0xfec00000",
                                      "0xfebffff0",
                                      "99999999999999999999999999",
                                      "0xC0000000"};
    char text[40];
    snprintf(text, sizeof text, below(2) ? "0x%x" : "%u",
             0xc0000000u + below(0x3ec) * 0x100000u + below(64) * 256);
    add(below(2) ? odd[below(sizeof odd / sizeof *odd)] : text);
}

static void add_word(void)
{
    add(below(8)   ? "virtio_mmio.device="
        : below(2) ? "virtio_mmio.device"
                   : "virtio_mmio.devicevirtio_mmio.device=");
    if (below(2))
        add("512");
    else
        add_number();
    add(below(16) ? "@" : "");
    add_number();
    add(below(16) ? ":" : "::");
    char input[8];
    snprintf(input, sizeof input, "%u", below(30));
    if (below(4))
        add(input);
    else
        add_number();
    if (!below(8))
        add((char[]){(char)(1 + below(255)), 0});
    add(below(16) ? " " : "");
}

// --- Lines: what leads to an input keeps all others from it, whichever came first; but pins of PCI
// share theirs, and messages have none.
static bool both(const struct found *a, u32 n, const struct found *b, u32 k)
{
    devices[0] = *a, devices[1] = *b;
    lines[7] = (__typeof__(lines[7])){.used = true, .device = 1, .n = k};
    bool busy = in_use(0, n);
    lines[7].used = false;
    return !busy && !in_use(0, n);
}

static void look_at_lines(void)
{
    const struct found at_10 = {.about.bus = BUS_VIRTIO_MMIO, .inputs = {10}},
                       at_11 = {.about.bus = BUS_VIRTIO_MMIO, .inputs = {11}},
                       old = {.about.bus = BUS_PC, .inputs = {1, 10}},
                       pin = {.about.bus = BUS_PCI, .inputs = {10}},
                       messages = {.about.bus = BUS_PCI, .inputs = {10}, .msix = 1};
    CHECK(!both(&at_10, 0, &pin, 0) && !both(&pin, 0, &at_10, 0));
    CHECK(!both(&old, 1, &pin, 0) && !both(&pin, 0, &old, 1));
    CHECK(!both(&at_10, 0, &old, 1) && !both(&old, 1, &at_10, 0));
    CHECK(both(&old, 0, &pin, 0) && both(&pin, 0, &old, 0));
    CHECK(both(&at_11, 0, &pin, 0) && both(&pin, 0, &at_11, 0) && both(&pin, 0, &pin, 0));
    CHECK(both(&messages, 5, &at_10, 0) && both(&at_10, 0, &messages, 5));
    CHECK(both(&messages, 1000, &old, 1) && both(&messages, 0, &messages, 0));
    lines[7].used = true; // of the second one; and by what is in lines[7] now
    CHECK(in_use(1, 0) && !in_use(1, 1) && !in_use(0, 0));
    lines[7].used = false;
}

int main(void)
{
    // The place of the devices is that of AddressSanitizer's own.
    if (__has_feature(address_sanitizer))
        return printf("0 passed, 0 failed\n"), 0;
    u64 size = DEVICES_TO - DEVICES_FROM;
    u8 *there = mmap((void *)DEVICES_FROM, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (there != (u8 *)DEVICES_FROM)
        return printf("0 passed, 1 failed\n"), 1;
    // Half of what is named below is a device.
    for (u64 at = DEVICES_FROM; at < DEVICES_TO; at += 2 << 20)
        for (u64 k = 0; k < 64 * 256; k += 256)
            memcpy((void *)(at + k), (u32[]){MAGIC_VALUE, 2, 1 + (u32)(at >> 21) % 9, 0}, 16);
    memcpy((void *)0xfeb00e00, (u32[]){MAGIC_VALUE, 2, 4, 0}, 16);
    look_at(
        "console=x virtio_mmio.device=512@0xfeb00e00:12 virtio_mmio.device=0x200@4274006016:12 y");
    CHECK(device_count == 1);
    look_at("virtio_mmio.device=64K@0x3fffffffffffc0K:12"); // it ends where addresses begin
    CHECK(!device_count);
    look_at("");
    u32 most = 0;
    for (u32 i = 0; i < CASES; i++) {
        seed = i + 1;
        line[0] = 0;
        for (u32 k = below(WORDS) + 1; k; k--)
            add_word();
        look_at(line);
        most = device_count > most ? device_count : most;
    }
    CHECK(most > 2);
    look_at_lines();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
