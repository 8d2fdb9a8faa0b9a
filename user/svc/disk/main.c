// SPDX-License-Identifier: MIT
// disk N: what `nebulet boot --disk` has in the machine between a folder and the disk that it is
// on. Holds the disk's device, the one whose serial number is N, starts its driver, which it starts
// again when that dies, and the file system (../fs), which gets the client that is on handle 0
// here, and is over when that is gone and all is on the disk. When that dies, whoever has the
// folder asks for another one on handle 1, and it is started again.
//
// Driver and file system are parts of this program, so nobody needs a folder to find them in. The
// driver's service has a name that only those two know: who knew it could change the disk below the
// file system.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sip.h>

#include "../../drv/block.h"

#define PATIENCE (10 * SIP_SECOND)
#define SHORT SIP_MS // between two starts of a driver, at first
#define LONG SIP_SECOND

static const uint8_t driver_wasm[] = {
#embed "drv/virtio-blk.wasm"
};
static const uint8_t fs_wasm[] = {
#embed "svc/fs.wasm"
};

static char name[40];         // of the driver's service
static nebulet_handle module; // the driver's
static nebulet_handle driver; // its process
static uint32_t number;       // of the device, for device_open

static nebulet_handle compile(const char *what, const uint8_t *bytes, size_t size)
{
    char message[160];
    int64_t result = sip_compile(bytes, size, message, sizeof message);
    if (result < 0)
        sip_panic("disk: %s: %s", what, message);
    return (nebulet_handle)result;
}

// --- The driver

// The device goes with its handle: who starts the next driver opens it anew, reset.
static int64_t start_driver(uint32_t i)
{
    const char *const args[] = {"virtio-blk", name, NULL};
    struct nebulet_options options = {.privileges = NEBULET_MAY_SERVE | NEBULET_MAY_PRINT,

                                      .name = "virtio-blk"};
    nebulet_handle ends[2];
    int64_t device = nebulet_device_open(i);
    if (device < 0)
        return device;
    sip_must(sip_channel(ends), "disk: a channel");
    sip_must(sip_send_handle(ends[0], NULL, 0, (nebulet_handle)device), "disk: giving the device");
    sip_close(ends[0]);
    return sip_start(module, args, &options, ends[1]);
}

// The serial number; false: the driver has died, or the device does not say.
static bool ask_serial(char serial[BLOCK_ID_BYTES + 1])
{
    static _Alignas(4096) uint8_t window[4096];
    struct block_about about;
    struct block_request r = {.op = BLOCK_GET_ID};
    struct block_answer a;
    int64_t memory = nebulet_memory_create(sizeof window), copy;
    int64_t service = nebulet_service_connect(name, (uint32_t)strlen(name), sip_after(PATIENCE));
    sip_must(memory, "disk: memory");
    sip_must(
        nebulet_memory_map((nebulet_handle)memory, (uint32_t)(uintptr_t)window, 0, sizeof window),
        "disk: memory_map");
    copy = nebulet_handle_duplicate((nebulet_handle)memory, NEBULET_SAME_RIGHTS);
    bool done = service >= 0 && copy >= 0 &&
                sip_send_handle((nebulet_handle)service, NULL, 0, (nebulet_handle)copy) >= 0 &&
                sip_recv_value((nebulet_handle)service, &about) >= 0 &&
                sip_call_value((nebulet_handle)service, &r, &a) >= 0 && a.result >= 0;
    memcpy(serial, window, BLOCK_ID_BYTES);
    serial[BLOCK_ID_BYTES] = 0;
    if (service >= 0)
        sip_close((nebulet_handle)service);
    sip_must(nebulet_memory_unmap((uint32_t)(uintptr_t)window, sizeof window), "disk: unmapping");
    sip_close((nebulet_handle)memory);
    return done;
}

static bool is_disk(const struct nebulet_device *d)
{
    enum { VIRTIO = 0x1af4, BLOCK = 2 };
    return d->vendor == VIRTIO && d->id == BLOCK + (d->bus == NEBULET_PCI ? 0x1040 : 0);
}

static void end_driver(nebulet_handle process)
{
    struct nebulet_exit how;
    nebulet_process_kill(process);
    sip_join(process, &how);
}

// The driver of that disk. Others are somebody else's, who may only be looking, too.
static bool find_driver(const char *wanted)
{
    struct nebulet_device about;
    char serial[BLOCK_ID_BYTES + 1];
    for (number = 0; nebulet_device_list(number, &about) >= 0; number++) {
        int64_t process = is_disk(&about) ? start_driver(number) : NEBULET_ERR_NOT_FOUND;
        if (process < 0)
            continue;
        if (ask_serial(serial) && !strcmp(serial, wanted)) {
            driver = (nebulet_handle)process;
            return true;
        }
        end_driver((nebulet_handle)process);
    }
    return false;
}

static int32_t keep_driver(void *unused)
{
    (void)unused;
    for (uint64_t wait = SHORT;;) {
        struct nebulet_exit how;
        char what[80];
        uint64_t began = sip_now();
        if (sip_join(driver, &how) < 0)
            return 1;
        sip_describe_exit(what, sizeof what, &how);
        fprintf(stderr, "disk: virtio-blk: %s; starts again\n", what);
        wait = sip_now() - began > 10 * LONG ? SHORT : wait < LONG ? 2 * wait : LONG;
        sip_sleep(wait);
        int64_t next = NEBULET_ERR_ALREADY_OWNED;
        for (uint64_t until = sip_after(PATIENCE);
             next == NEBULET_ERR_ALREADY_OWNED && sip_now() < until; sip_sleep(SIP_MS))
            next = start_driver(number);
        driver = (nebulet_handle)sip_must(next, "disk: starting the driver again");
    }
}

// --- The file system

// True: it is over, and *code is what is to be said of it.
static bool serve(nebulet_handle fs, nebulet_handle client, int *code)
{
    enum { NO_FILE_SYSTEM = 2 };
    const char *const args[] = {"fs", "--one", name, NULL};
    struct nebulet_options options = {.privileges = NEBULET_MAY_CONNECT | NEBULET_MAY_PRINT,
                                      .name = "fs"};
    struct nebulet_exit how;
    char what[80];
    int64_t process = sip_must(sip_start(fs, args, &options, client), "disk: fs");
    sip_must(sip_join((nebulet_handle)process, &how), "disk: waiting for fs");
    *code = how.how == NEBULET_EXITED ? (int)how.code : 1;
    if (!*code || *code == NO_FILE_SYSTEM)
        return true;
    sip_describe_exit(what, sizeof what, &how);
    fprintf(stderr, "disk: fs: %s; starts again when it is asked\n", what);
    return false;
}

int main(int argc, char **argv)
{
    enum { FIRST_CLIENT, CLIENTS };
    const char *wanted = argc > 1 ? argv[1] : "0";
    nebulet_handle client = FIRST_CLIENT;
    struct sip_thread keeper;
    int code;
    uint64_t random[2];
    sip_random(random, sizeof random);
    sip_format(name, sizeof name, "%llx%llx", (unsigned long long)random[0],
               (unsigned long long)random[1]);
    module = compile("virtio-blk", driver_wasm, sizeof driver_wasm);
    for (uint64_t until = sip_after(PATIENCE); !find_driver(wanted); sip_sleep(SIP_MS))
        if (sip_now() > until)
            sip_panic("disk: there is no disk %s", wanted);
    nebulet_handle fs = compile("fs", fs_wasm, sizeof fs_wasm);
    sip_must(sip_thread_start(&keeper, keep_driver, NULL, 0), "disk: a thread");
    while (!serve(fs, client, &code) && sip_recv_handle(CLIENTS, NULL, 0, &client) >= 0)
        ;
    nebulet_process_kill(driver); // where there is one
    return code != 0;
}
