// SPDX-License-Identifier: MIT
// Kills drivers again and again while they work, and starts them anew: each time the device is free
// at once, stopped, and serves the next one. What it asks of them in between is what they are for;
// what was written to a disk is there for the next driver. Pages that are free after a driver has
// died are looked at, for a device that still works would write to them. The kernel counts all
// pages when this is over.
//
// Its arguments: how often, and the drivers, whose programs are /DRIVER.wasm.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../user/drv/block.h"
#include <sip.h>

enum { LIFE_MS = 50, VIRTIO = 0x1af4, PCI = 0x1040, PAGES = 65536, SECTORS = 64, DRIVERS = 3 };

static uint32_t answers[DRIVERS];
// What sectors hold, by the last answer, and what they may hold, for there was none to the last
// write.
static uint8_t held[SECTORS], tried[SECTORS];

// --- What they are for. An error: it has died.

static int64_t no_use(void)
{
    return sip_sleep(SIP_MS), 0;
}

static int64_t use_rng(void)
{
    static nebulet_handle service = NEBULET_NO_HANDLE;
    uint8_t bytes[256];
    uint32_t wanted = sizeof bytes;
    if (service == NEBULET_NO_HANDLE)
        service = (nebulet_handle)sip_must(sip_connect("random"), "connecting");
    int64_t how = sip_call(service, &wanted, sizeof wanted, bytes, sizeof bytes);
    if (how < 0) {
        sip_close(service);
        service = NEBULET_NO_HANDLE;
    }
    return how;
}

static _Alignas(4096) uint8_t data[SECTORS * BLOCK_SECTOR];

static int64_t attach(nebulet_handle service)
{
    static nebulet_handle memory = NEBULET_NO_HANDLE;
    struct block_about about;
    if (memory == NEBULET_NO_HANDLE) {
        memory = (nebulet_handle)sip_must(nebulet_memory_create(sizeof data), "memory");
        sip_must(nebulet_memory_map(memory, (uint32_t)(uintptr_t)data, 0, sizeof data), "mapping");
    }
    nebulet_handle given = (nebulet_handle)sip_must(
        nebulet_handle_duplicate(memory, NEBULET_SAME_RIGHTS), "memory, once more");
    int64_t how = sip_send_handle(service, NULL, 0, given);
    return how < 0 ? how : sip_recv_value(service, &about);
}

static int64_t move(nebulet_handle service, uint32_t op, uint32_t sector)
{
    struct block_request r = {op, sector, sector, sector * BLOCK_SECTOR, BLOCK_SECTOR};
    struct block_answer a;
    int64_t how = sip_call_value(service, &r, &a);
    if (how >= 0 && (a.result != BLOCK_SECTOR || a.tag != sector))
        sip_panic("a disk answers %d", a.result);
    return how;
}

static int64_t read_back(nebulet_handle service, uint32_t sector)
{
    uint8_t *at = data + sector * BLOCK_SECTOR;
    memset(at, 0xee, BLOCK_SECTOR);
    int64_t how = move(service, BLOCK_READ, sector);
    for (uint32_t i = 0; i < BLOCK_SECTOR && how >= 0; i++)
        if (at[i] != at[0] || (at[i] != held[sector] && at[i] != tried[sector]))
            sip_panic("sector %u holds %x, not %x", sector, at[i], held[sector]);
    if (how >= 0)
        held[sector] = tried[sector] = at[0];
    return how;
}

static int64_t write_next(nebulet_handle service, uint32_t sector)
{
    tried[sector] = (uint8_t)(held[sector] + 1) % 200;
    memset(data + sector * BLOCK_SECTOR, tried[sector], BLOCK_SECTOR);
    int64_t how = move(service, BLOCK_WRITE, sector);
    if (how >= 0)
        held[sector] = tried[sector];
    return how;
}

static int64_t use_blk(void)
{
    static nebulet_handle service = NEBULET_NO_HANDLE;
    static uint32_t sector;
    int64_t how = 0;
    if (service == NEBULET_NO_HANDLE) {
        service = (nebulet_handle)sip_must(sip_connect("block"), "connecting");
        how = attach(service);
    }
    sector = (sector + 1) % SECTORS;
    how = how < 0 ? how : read_back(service, sector);
    how = how < 0 ? how : write_next(service, sector);
    if (how < 0) {
        sip_close(service);
        service = NEBULET_NO_HANDLE;
    }
    return how;
}

static struct driver {
    const char *name;
    uint32_t id;
    int64_t (*use)(void);
    nebulet_handle module, process;
} all[] = {
    {"virtio-net", 1, no_use, 0, 0},
    {"virtio-blk", 2, use_blk, 0, 0},
    {"virtio-rng", 4, use_rng, 0, 0},
};

static nebulet_handle compile(const char *path)
{
    enum { MAX = 1 << 20 };
    char *bytes = malloc(MAX), message[100];
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, bytes, MAX);
    close(fd);
    nebulet_handle module =
        (nebulet_handle)sip_must(sip_compile(bytes, (size_t)n, message, sizeof message), path);
    free(bytes);
    return module;
}

static nebulet_handle take(const struct driver *d)
{
    struct nebulet_device about;
    for (uint32_t i = 0; nebulet_device_list(i, &about) >= 0; i++)
        if (about.vendor == VIRTIO && (about.id == d->id || about.id == d->id + PCI))
            return (nebulet_handle)sip_must(nebulet_device_open(i), "taking the device");
    sip_panic("no device");
}

static void start(struct driver *d)
{
    nebulet_handle ends[2];
    const char *args[] = {d->name, NULL};
    sip_must(sip_channel(ends), "a channel");
    sip_must(sip_send_handle(ends[0], "it", 2, take(d)), "giving the device away");
    sip_close(ends[0]);
    d->process =
        (nebulet_handle)sip_must(sip_start(d->module, args, NULL, ends[1]), "starting a driver");
}

static void look_at_free_pages(void)
{
    static _Alignas(4096) uint8_t window[PAGES];
    nebulet_handle memory = (nebulet_handle)sip_must(nebulet_memory_create(PAGES), "memory");
    sip_must(nebulet_memory_map(memory, (uint32_t)(uintptr_t)window, 0, PAGES), "mapping");
    sip_sleep(SIP_MS);
    for (uint32_t i = 0; i < PAGES; i++)
        if (window[i])
            sip_panic("somebody has written to a page of mine");
    sip_must(nebulet_memory_unmap((uint32_t)(uintptr_t)window, PAGES), "unmapping");
    sip_close(memory);
}

static void end(struct driver *d)
{
    struct nebulet_exit how;
    nebulet_process_kill(d->process);
    sip_must(sip_join(d->process, &how), "waiting for its end");
    if (how.how != NEBULET_KILLED)
        sip_panic("%s has ended by itself", d->name);
    look_at_free_pages();
}

static struct driver *find(const char *name)
{
    for (uint32_t i = 0; i < DRIVERS; i++)
        if (!strcmp(all[i].name, name))
            return &all[i];
    sip_panic("no driver %s", name);
}

int main(int argc, char **argv)
{
    uint32_t lives = argc > 1 ? (uint32_t)atoi(argv[1]) : 0, n = (uint32_t)argc - 2;
    struct driver *mine[DRIVERS];
    for (uint32_t i = 0; i < n; i++) {
        char path[40];
        mine[i] = find(argv[i + 2]);
        sip_format(path, sizeof path, "/%s.wasm", mine[i]->name);
        mine[i]->module = compile(path);
        start(mine[i]);
    }
    for (uint32_t life = 0; life < lives * n; life++) {
        // Now and then in the middle of its beginning.
        uint64_t until = sip_after(life % 4 == 3 ? life % 100 * 20 * SIP_US : LIFE_MS * SIP_MS / n);
        while (sip_now() < until)
            for (uint32_t i = 0; i < n; i++)
                answers[i] += mine[i]->use() >= 0;
        end(mine[life % n]);
        start(mine[life % n]);
    }
    for (uint32_t i = 0; i < n; i++) {
        end(mine[i]);
        if (answers[i] < lives)
            sip_panic("%u answers of %s", answers[i], mine[i]->name);
    }
    sip_printf("killed\n");
    return 0;
}
