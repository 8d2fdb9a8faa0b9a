// SPDX-License-Identifier: MIT
// The service "block" (user/drv/block.h) for one client, over the file /disk, which dies after so
// many requests, now and then before it answers: filedisk REQUESTS.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../user/drv/block.h"
#include <sip.h>

enum { ROOM = 4096 };

static _Alignas(4096) uint8_t window[ROOM];
static int file;
static uint32_t left;
static bool mapped;

static int32_t act(const struct block_request *r)
{
    off_t at = (off_t)r->sector * BLOCK_SECTOR;
    if (r->bytes > ROOM)
        return NEBULET_ERR_OUT_OF_BOUNDS;
    if (r->op == BLOCK_READ)
        return pread(file, window, r->bytes, at) == (ssize_t)r->bytes ? (int32_t)r->bytes
                                                                      : NEBULET_ERR_INTERNAL;
    if (r->op == BLOCK_WRITE)
        return pwrite(file, window, r->bytes, at) == (ssize_t)r->bytes ? (int32_t)r->bytes
                                                                       : NEBULET_ERR_INTERNAL;
    return r->op == BLOCK_FLUSH ? 0 : NEBULET_ERR_INVALID_ARG;
}

static enum sip_verdict request(struct sip_service *s, struct sip_client *client,
                                const struct sip_request *got)
{
    struct stat st;
    struct block_request r;
    (void)s;
    if (got->handle_count) {
        if (mapped) // the client before this one has died
            sip_must(nebulet_memory_unmap((uint32_t)(uintptr_t)window, ROOM), "unmapping");
        mapped = true;
        sip_must(nebulet_memory_map(got->handles[0], (uint32_t)(uintptr_t)window, 0, ROOM),
                 "mapping");
        sip_must(fstat(file, &st), "the disk");
        struct block_about about = {(uint64_t)st.st_size / BLOCK_SECTOR, ROOM, 0};
        return sip_answer(client, &about, sizeof about) < 0 ? SIP_HANG_UP : SIP_GO_ON;
    }
    memcpy(&r, got->bytes, sizeof r);
    if (!--left && sip_now() % 2)
        exit(1);
    struct block_answer a = {r.tag, act(&r)};
    sip_answer(client, &a, sizeof a);
    if (!left)
        exit(1);
    return SIP_GO_ON;
}

int main(int argc, char **argv)
{
    struct sip_service service = {.request = request};
    left = argc > 1 ? (uint32_t)atoi(argv[1]) : 1000;
    file = open("/disk", O_RDWR);
    sip_must(file, "the disk");
    return sip_serve("block", &service) < 0;
}
