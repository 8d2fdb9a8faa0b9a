// SPDX-License-Identifier: MIT
// For tests that own a device of the PC together with its driver, which they start, kill and start
// again.
#pragma once
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sip.h>

static nebulet_handle device, module, process;

static inline void owner_find(uint32_t id)
{
    struct nebulet_device about;
    uint32_t i = 0;
    while (sip_must(nebulet_device_list(i, &about), "the device") >= 0 &&
           (about.bus != NEBULET_PC || about.id != id))
        i++;
    device = (nebulet_handle)sip_must(nebulet_device_open(i), "device_open");
}

static inline void owner_compile(const char *path)
{
    enum { MAX = 1 << 20 };
    char *bytes = malloc(MAX), message[100];
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, bytes, MAX);
    close(fd);
    module = (nebulet_handle)sip_must(sip_compile(bytes, (size_t)n, message, sizeof message), path);
    free(bytes);
}

static inline void owner_start(const char *const *args)
{
    nebulet_handle ends[2], given;
    given =
        (nebulet_handle)sip_must(nebulet_handle_duplicate(device, NEBULET_SAME_RIGHTS), "device");
    sip_must(sip_channel(ends), "channel");
    sip_must(sip_send_handle(ends[0], "device", 6, given), "device");
    sip_close(ends[0]);
    process = (nebulet_handle)sip_must(sip_start(module, args, NULL, ends[1]), "the driver");
}

static inline void owner_kill(void)
{
    struct nebulet_exit how;
    nebulet_process_kill(process);
    sip_must(sip_join(process, &how), "the driver");
    if (how.how != NEBULET_KILLED)
        sip_panic("the driver has ended by itself, by %u with %u", how.how, how.code);
}
