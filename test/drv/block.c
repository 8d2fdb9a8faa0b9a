// SPDX-License-Identifier: MIT
// A client of the service "block". Its first argument says what it does:
//
// turn       all of the disk is read, every second piece of 4 KiB is turned to its complement, and
//            written back, BLOCK_MOST at a time; then it is flushed
// errors     what cannot be done is answered, and what can works in between; prints the answers
// read N B   N reads of B bytes, BLOCK_MOST in flight
// leave      of a slow disk, clients ask for as much as they may and go: nobody has their places
//            before the device is done with what they asked for, and then somebody has
#include <stdlib.h>
#include <string.h>

#include "../../user/drv/block.h"
#include <sip.h>

enum { PIECE = 4096, SECTORS = PIECE / BLOCK_SECTOR, ROOM = BLOCK_MOST * PIECE };

static _Alignas(4096) uint8_t window[ROOM];
static nebulet_handle service;
static struct block_about about;

// False: it is hung up on.
static bool try_attach(void)
{
    nebulet_handle memory = (nebulet_handle)sip_must(nebulet_memory_create(ROOM), "memory");
    service = (nebulet_handle)sip_must(sip_connect("block"), "connecting");
    sip_must(nebulet_memory_map(memory, (uint32_t)(uintptr_t)window, 0, ROOM), "mapping");
    return sip_send_handle(service, NULL, 0, memory) >= 0 && sip_recv_value(service, &about) >= 0;
}

static void attach(void)
{
    if (!try_attach())
        sip_panic("block: hung up on");
}

static void detach(void)
{
    sip_must(nebulet_memory_unmap((uint32_t)(uintptr_t)window, ROOM), "unmapping");
    sip_close(service);
}

static void ask(const struct block_request *r, uint32_t n)
{
    sip_must(sip_send(service, r, n * sizeof *r), "asking");
}

// How many answers there were; each must be `wanted`.
static uint32_t collect(int32_t wanted)
{
    struct block_answer answers[BLOCK_MOST];
    uint32_t n = (uint32_t)sip_must(sip_recv(service, answers, sizeof answers), "answers") /
                 (uint32_t)sizeof *answers;
    for (uint32_t i = 0; i < n; i++)
        if (answers[i].result != wanted)
            sip_panic("request %u: %d", answers[i].tag, answers[i].result);
    return n;
}

// BLOCK_MOST pieces at once.
static void all(uint32_t op, uint64_t first, uint32_t n)
{
    struct block_request r[BLOCK_MOST];
    for (uint32_t i = 0; i < n; i++)
        r[i] = (struct block_request){op, i, (first + i) * SECTORS, i * PIECE, PIECE};
    ask(r, n);
    for (uint32_t got = 0; got < n;)
        got += collect(PIECE);
}

static int32_t one(uint32_t op, uint64_t sector, uint32_t offset, uint32_t bytes)
{
    struct block_request r = {op, 7, sector, offset, bytes};
    struct block_answer a;
    ask(&r, 1);
    sip_must(sip_recv_value(service, &a), "an answer");
    if (a.tag != 7)
        sip_panic("tag %u", a.tag);
    return a.result;
}

static void turn(void)
{
    uint64_t pieces = about.sectors / SECTORS;
    for (uint64_t at = 0; at < pieces; at += BLOCK_MOST) {
        uint32_t n = pieces - at < BLOCK_MOST ? (uint32_t)(pieces - at) : BLOCK_MOST;
        all(BLOCK_READ, at, n);
        for (uint32_t i = PIECE; i < n * PIECE; i += i % PIECE == PIECE - 1 ? PIECE + 1 : 1)
            window[i] = (uint8_t)~window[i];
        all(BLOCK_WRITE, at, n);
    }
    sip_must(one(BLOCK_FLUSH, 0, 0, 0), "flushing");
}

static void errors(void)
{
    uint64_t end = about.sectors;
    sip_printf("id %d \"%.20s\"\n", one(BLOCK_GET_ID, 0, 0, 0), (char *)window);
    sip_printf("sectors %llu, read-only %u\n", (unsigned long long)end, about.read_only);
    sip_printf("the last sector %d\n", one(BLOCK_READ, end - 1, 0, BLOCK_SECTOR));
    sip_printf("across the end %d\n", one(BLOCK_READ, end - 1, 0, 2 * BLOCK_SECTOR));
    sip_printf("past the end %d\n", one(BLOCK_READ, end, 0, BLOCK_SECTOR));
    sip_printf("far past the end %d\n", one(BLOCK_WRITE, UINT64_MAX, 0, BLOCK_SECTOR));
    sip_printf("past the memory %d\n", one(BLOCK_READ, 0, ROOM - BLOCK_SECTOR, 2 * BLOCK_SECTOR));
    sip_printf("far past the memory %d\n", one(BLOCK_READ, 0, UINT32_MAX - 511, BLOCK_SECTOR));
    sip_printf("half a sector %d\n", one(BLOCK_READ, 0, 0, BLOCK_SECTOR / 2));
    sip_printf("nothing %d\n", one(BLOCK_READ, 0, 0, 0));
    sip_printf("too much %d\n", one(BLOCK_READ, 0, 0, about.most + BLOCK_SECTOR));
    sip_printf("an unknown request %d\n", one(99, 0, 0, BLOCK_SECTOR));
    sip_printf("writing %d\n", one(BLOCK_WRITE, 1, 0, BLOCK_SECTOR));
    for (uint32_t sector = 8; sector < 12; sector++)
        sip_printf("sector %u %d\n", sector, one(BLOCK_READ, sector, 0, BLOCK_SECTOR));
    sip_printf("flushing %d\n", one(BLOCK_FLUSH, 0, 0, 0));
}

static void read_many(uint32_t n, uint32_t bytes)
{
    struct block_request r[BLOCK_MOST];
    uint64_t room = about.sectors - bytes / BLOCK_SECTOR;
    uint32_t asked = 0, free = BLOCK_MOST;
    for (uint32_t done = 0; done < n;) {
        uint32_t i = 0;
        for (; i < free && asked < n; i++, asked++)
            r[i] = (struct block_request){BLOCK_READ, i, asked * 8u % room, i * PIECE, bytes};
        if (i)
            ask(r, i);
        free = collect((int32_t)bytes);
        done += free;
    }
}

static void leave(void)
{
    enum { CLIENTS = 4, APART = 1024 };
    struct block_request r[BLOCK_MOST];
    for (uint32_t i = 0; i < BLOCK_MOST; i++)
        r[i] =
            (struct block_request){BLOCK_READ, i, (BLOCK_MOST - 1 - i) * APART, i * PIECE, PIECE};
    for (uint32_t i = 0; i < CLIENTS; i++) {
        ask(r, BLOCK_MOST);
        detach();
        if (i + 1 < CLIENTS)
            attach();
    }
    if (try_attach())
        sip_panic("block: there is a place that the device still writes for");
    do {
        detach();
        sip_sleep(50 * SIP_MS);
    } while (!try_attach());
    sip_printf("reading %d\n", one(BLOCK_READ, 0, 0, BLOCK_SECTOR));
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    attach();
    if (!strcmp(what, "turn"))
        turn();
    else if (!strcmp(what, "errors"))
        errors();
    else if (!strcmp(what, "leave"))
        leave();
    else if (!strcmp(what, "read") && argc > 3)
        read_many((uint32_t)atoi(argv[2]), (uint32_t)atoi(argv[3]));
    else
        sip_panic("block: what?");
    sip_printf("block: over\n");
    return 0;
}
