// SPDX-License-Identifier: MIT
// A driver without sense: random calls on its device with random arguments, random bytes into the
// registers, the rings and what the rings lead to. Whatever it does, it is this process's trouble:
// each child that has a device ends by itself, traps or is ended, and the machine goes on. Without
// the right, nobody gets anywhere.
//
// With an IOMMU (the argument `wild`), where queues and buffers lie is any number, too. `few`: a
// quarter of the calls, before `wild`.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sip.h>

enum { CHILDREN = 24, CALLS = 4000, FEW = 1000, PAGES = 16 };

static _Alignas(4096) uint8_t window[PAGES * 4096];
static nebulet_handle devices[8], memories[8], interrupts[4];
static uint64_t seed;
static bool wild;
static uint32_t calls;

static uint32_t next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}

// Small, or at an edge, or anything.
static uint32_t number(void)
{
    static const uint32_t edges[] = {0,          4095,           4096,       511,
                                     512,        65535,          0x7fffffff, 0x80000000,
                                     UINT32_MAX, UINT32_MAX - 3, 0xfff8,     2097152};
    switch (next() % 4) {
    case 0: return edges[next() % (sizeof edges / sizeof *edges)];
    case 1: return next();
    default: return next() % 16;
    }
}

static nebulet_handle any(void)
{
    nebulet_handle *const lists[] = {devices, memories, interrupts};
    uint32_t list = next() % 8;
    return list < 3 ? lists[list][next() % 4] : list == 3 ? number() : devices[next() % 8];
}

static uint32_t place(void)
{
    uint32_t base = (uint32_t)(uintptr_t)window;
    return next() % 8 ? base + next() % PAGES * 4096 : number() | 0x80000000;
}

static void keep(nebulet_handle *list, uint32_t n, int64_t result)
{
    nebulet_handle *at = &list[next() % n];
    if (result <= 0)
        return;
    if (*at && next() % 4)
        sip_close(*at);
    *at = (nebulet_handle)result;
}

// Where a queue lies: nothing but memory of one's own may stand there, for no IOMMU confines the
// device, and to overwrite the machine would be no finding.
static bool is_address(uint32_t offset)
{
    return !wild && offset % 512 >= 0x80 && offset % 512 < 0xb0;
}

static void write_anywhere(void)
{
    uint32_t offset = number();
    if (!is_address(offset))
        nebulet_device_write(any(), number(), offset, 1u << next() % 4, number());
}

static void call(void)
{
    struct nebulet_device about;
    switch (next() % 14) {
    case 0: nebulet_device_list(number(), &about); break;
    case 1: keep(devices, 8, nebulet_device_open(number())); break;
    case 2: nebulet_device_info(any(), &about); break;
    case 3: nebulet_device_map(any(), number(), place()); break;
    case 4: nebulet_device_read(any(), number(), number(), 1 << next() % 4); break;
    case 5: write_anywhere(); break;
    case 6: keep(memories, 8, nebulet_dma_create(any(), (uint64_t)(next() % 8) << 12)); break;
    case 7: nebulet_dma_create(any(), number()); break;
    case 8: nebulet_dma_address(any()); break;
    case 9: keep(interrupts, 4, nebulet_interrupt_create(any(), number())); break;
    case 10: nebulet_interrupt_ack(any()); break;
    case 11: nebulet_memory_map(any(), place(), next() % 4 << 12, (1 + next() % 4) << 12); break;
    case 12: nebulet_memory_unmap(place(), (1 + next() % 4) << 12); break;
    case 13: nebulet_object_wait_one(any(), NEBULET_EVENT_SIGNALED, next() % 2); break;
    }
}

// What is mapped there gets nonsense, of every width: registers, too.
static void scribble(void)
{
    uint8_t *at = window + next() % sizeof window / 4 * 4;
    for (uint32_t i = next() % 32; i > 0 && at + 4 <= window + sizeof window; i--, at += 4)
        switch (is_address((uint32_t)(at - window)) ? 3 : next() % 3) {
        case 0: *(volatile uint8_t *)at = (uint8_t)next(); break;
        case 1: *(volatile uint16_t *)at = (uint16_t)number(); break;
        case 2: *(volatile uint32_t *)at = number(); break;
        default: break;
        }
}

// A device that is set up, so that nonsense in the rings means something to it.
static void set_up(nebulet_handle device)
{
    static const uint32_t steps[][2] = {{0x70, 0},    {0x70, 3},    {0x24, 1}, {0x20, 1},
                                        {0x70, 11},   {0x30, 0},    {0x38, 8}, {0x80, 0},
                                        {0x90, 2048}, {0xa0, 3072}, {0x44, 1}, {0x70, 15}};
    int64_t memory = nebulet_dma_create(device, 4096);
    if (memory < 0)
        return;
    keep(memories, 8, memory);
    nebulet_memory_map((nebulet_handle)memory, (uint32_t)(uintptr_t)window, 0, 4096);
    uint64_t physical = (uint64_t)nebulet_dma_address((nebulet_handle)memory);
    for (uint32_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        uint32_t at = steps[i][0], value = steps[i][1];
        bool address = at >= 0x80;
        nebulet_device_write(device, 0, at, 4, address ? (uint32_t)physical + value : value);
        if (address)
            nebulet_device_write(device, 0, at + 4, 4, (uint32_t)(physical >> 32));
    }
    // Descriptors lead into this page and nowhere else: there is no IOMMU that would see to that.
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t from = next() % 2048;
        uint64_t d[2] = {physical + from, (next() % (2048 - from)) | (uint64_t)(next() % 4) << 32 |
                                              (uint64_t)(next() % 16) << 48};
        memcpy(window + 16 * i, d, 16);
    }
}

// Its own memory, mostly; else anything that a machine has, or has not.
static uint64_t aim(uint64_t physical)
{
    switch (next() % 16) {
    case 0: return (uint64_t)next() << 12;
    case 1: return 0xfee00000 | next() % (1 << 20);
    case 2: return (uint64_t)next() << 32 | number();
    case 3: return next() % (64 << 20);
    default: return physical + next() % 4096;
    }
}

// Virtio 1.2, 4.1.4: where registers of a kind are; false: nowhere.
static bool find_registers(nebulet_handle device, uint32_t kind, uint32_t *range, uint32_t *offset)
{
    enum { CONFIGURATION = 6, CAPABILITIES = 0x34, VENDOR = 9 };
    uint32_t at = (uint32_t)nebulet_device_read(device, CONFIGURATION, CAPABILITIES, 1);
    for (uint32_t i = 0; at >= 64 && at < 240 && i < 48; i++) {
        if (nebulet_device_read(device, CONFIGURATION, at, 1) == VENDOR &&
            nebulet_device_read(device, CONFIGURATION, at + 3, 1) == kind) {
            *range = (uint32_t)nebulet_device_read(device, CONFIGURATION, at + 4, 1);
            *offset = (uint32_t)nebulet_device_read(device, CONFIGURATION, at + 8, 4);
            return true;
        }
        at = (uint32_t)nebulet_device_read(device, CONFIGURATION, at + 1, 1);
    }
    return false;
}

static void open_all(void)
{
    for (uint32_t i = 0; i < 8; i++)
        keep(devices, 8, nebulet_device_open(i));
}

static void give_back(nebulet_handle device)
{
    for (uint32_t i = 0; i < 8; i++)
        if (devices[i] == device)
            devices[i] = 0;
    sip_close(device);
    for (uint32_t i = 0; i < 4; i++)
        if (interrupts[i])
            sip_close(interrupts[i]), interrupts[i] = 0;
    for (uint32_t i = 0; i < 8; i++)
        if (memories[i])
            sip_close(memories[i]), memories[i] = 0;
    nebulet_memory_unmap((uint32_t)(uintptr_t)window, sizeof window);
}

// The same over PCI, from a queue on that works to nonsense: it is asked a few times, and then it
// forgets everything in the middle of that.
static void go_wild(nebulet_handle device)
{
    enum { COMMON = 1, NOTIFY = 2, STATUS = 20, SELECT = 22, SIZE = 24, VECTOR = 26, ENABLE = 28 };
    uint32_t range, at, bell_range, bell;
    int64_t memory = nebulet_dma_create(device, 4096);
    if (memory < 0 || !find_registers(device, COMMON, &range, &at) ||
        !find_registers(device, NOTIFY, &bell_range, &bell))
        return;
    keep(memories, 8, memory);
    keep(interrupts, 4, nebulet_interrupt_create(device, next() % 4));
    nebulet_memory_unmap((uint32_t)(uintptr_t)window, 4096);
    nebulet_memory_map((nebulet_handle)memory, (uint32_t)(uintptr_t)window, 0, 4096);
    uint64_t physical = (uint64_t)nebulet_dma_address((nebulet_handle)memory);
    static const uint32_t begin[][3] = {{STATUS, 1, 0}, {STATUS, 1, 3},  {8, 4, 1},
                                        {12, 4, 3},     {STATUS, 1, 11}, {16, 2, 0},
                                        {SELECT, 2, 0}, {SIZE, 2, 8}};
    for (uint32_t i = 0; i < sizeof begin / sizeof *begin; i++)
        nebulet_device_write(device, range, at + begin[i][0], begin[i][1],
                             next() % 64 ? begin[i][2] : number());
    nebulet_device_write(device, range, at + VECTOR, 2, next() % 8 ? next() % 4 : number());
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t where = next() % 8 ? physical + 1024 * (i + 1) : aim(physical);
        nebulet_device_write(device, range, at + 32 + 8 * i, 4, (uint32_t)where);
        nebulet_device_write(device, range, at + 36 + 8 * i, 4, (uint32_t)(where >> 32));
    }
    for (uint32_t i = 0; i < 8; i++) {
        uint64_t d[2] = {aim(physical), next() % 4096 | (uint64_t)(next() % 4) << 32 |
                                            (uint64_t)(next() % 16) << 48};
        memcpy(window + 1024 + 16 * i, d, 16);
    }
    nebulet_device_write(device, range, at + ENABLE, 2, 1);
    nebulet_device_write(device, range, at + STATUS, 1, 15);
    for (uint32_t i = 1; i < 12; i++) {
        uint16_t *available = (uint16_t *)(window + 2048);
        available[2 + i % 8] = (uint16_t)(next() % 8);
        available[1] = (uint16_t)(next() % 16 ? i : next());
        nebulet_device_write(device, bell_range, bell, 2, next() % 8 ? 0 : number());
        if (next() % 4 == 0)
            nebulet_interrupt_ack(interrupts[next() % 4]);
        if (next() % 16 == 0)
            nebulet_device_write(device, range, at + STATUS, 1, 0);
    }
    if (next() % 2) { // so that the next one gets it while that goes on
        give_back(device);
        open_all();
    }
}

static void ring(nebulet_handle device)
{
    for (uint32_t i = 0; i < 40; i++) {
        uint16_t *available = (uint16_t *)(window + 2048);
        available[next() % 11] = (uint16_t)(next() % 2 ? next() % 8 : next());
        ((uint16_t *)(window + 3072))[next() % 36] = (uint16_t)next();
        nebulet_device_write(device, 0, 0x50, 4, next() % 4 ? 0 : number());
    }
}

static int child(uint32_t number_of_it)
{
    seed = number_of_it * 0x9e3779b97f4a7c15ull + 1;
    bool rings = number_of_it % 2;
    open_all();
    for (uint32_t i = 0; i < calls; i++) {
        nebulet_handle device = devices[next() % 8];
        for (uint32_t k = next(); wild && !device && k % 8 < 7; k++)
            device = devices[k % 8];
        if (rings && !wild && i % 50 == 0)
            set_up(device);
        if (rings && wild)
            go_wild(device), i += 24;
        else if (rings)
            ring(device);
        else if (next() % 4)
            call();
        else
            scribble();
    }
    return 0;
}

static void test_nobody(void)
{
    struct nebulet_device about;
    if (nebulet_device_list(0, &about) != NEBULET_ERR_ACCESS_DENIED ||
        nebulet_device_open(0) != NEBULET_ERR_ACCESS_DENIED)
        sip_panic("without the right");
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "nobody")) {
        test_nobody();
        return 0;
    }
    const char *how_many = argc > 1 ? argv[1] : "all";
    calls = strcmp(how_many, "few") ? CALLS : FEW;
    wild = !strcmp(argv[argc - 1], "wild");
    if (argc > 2 + wild)
        return child((uint32_t)atoi(argv[2]));
    enum { MAX = 1 << 20 };
    char *bytes = malloc(MAX), message[100], text[12];
    int fd = open("/hostile.wasm", O_RDONLY);
    ssize_t n = read(fd, bytes, MAX);
    nebulet_handle module =
        (nebulet_handle)sip_must(sip_compile(bytes, (size_t)n, message, sizeof message), "myself");
    for (uint32_t i = 0; i <= CHILDREN; i++) {
        struct nebulet_options o = {.memory = 4 << 20,
                                    .privileges = i ? NEBULET_MAY_DEVICES : NEBULET_MAY_PRINT};
        struct nebulet_exit how;
        sip_format(text, sizeof text, "%u", i);
        const char *args[] = {"hostile", i ? how_many : "nobody", text, wild ? "wild" : NULL, NULL};
        nebulet_handle p = (nebulet_handle)sip_must(sip_start(module, args, &o, NEBULET_NO_HANDLE),
                                                    "starting one");
        if (nebulet_process_wait(p, sip_after(5 * SIP_SECOND), &how) < 0)
            nebulet_process_kill(p);
        sip_must(sip_join(p, &how), "waiting");
        if (!i && (how.how != NEBULET_EXITED || how.code))
            sip_panic("it may, without the right");
    }
    sip_printf("hostile\n");
    return 0;
}
