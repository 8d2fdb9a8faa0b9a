// SPDX-License-Identifier: MIT
// Kills a driver again and again while it works, and starts it anew: each time the device is free
// at once, stopped, and serves the next one. The kernel counts its pages when this is over.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sip.h>

enum { LIVES = 40, LIFE_MS = 50, RNG = 4, PCI_RNG = 0x1044 };

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

static nebulet_handle take(void)
{
    struct nebulet_device d;
    for (uint32_t i = 0; nebulet_device_list(i, &d) >= 0; i++)
        if (d.id == RNG || d.id == PCI_RNG)
            return (nebulet_handle)sip_must(nebulet_device_open(i), "taking the device");
    sip_panic("no device");
}

static nebulet_handle start(nebulet_handle module)
{
    nebulet_handle ends[2];
    const char *args[] = {"driver", NULL};
    sip_must(sip_channel(ends), "a channel");
    sip_must(sip_send_handle(ends[0], "rng", 3, take()), "giving the device away");
    sip_close(ends[0]);
    return (nebulet_handle)sip_must(sip_start(module, args, NULL, ends[1]), "starting the driver");
}

// How many answers came.
static uint32_t ask(nebulet_handle service, uint64_t until)
{
    uint8_t bytes[256];
    uint32_t wanted = sizeof bytes, n = 0;
    for (; sip_now() < until; n++)
        if (sip_call(service, &wanted, sizeof wanted, bytes, sizeof bytes) <= 0)
            sip_panic("no bytes");
    return n;
}

int main(void)
{
    nebulet_handle module = compile("/driver.wasm");
    uint32_t answers = 0;
    for (uint32_t i = 0; i < LIVES; i++) {
        struct nebulet_exit how;
        nebulet_handle driver = start(module);
        // Now and then in the middle of its beginning.
        if (i % 4 == 3) {
            sip_sleep(i * 20 * SIP_US);
        } else {
            nebulet_handle service = (nebulet_handle)sip_must(sip_connect("random"), "connecting");
            uint32_t wanted = 256;
            answers += ask(service, sip_after(LIFE_MS * SIP_MS));
            sip_send(service, &wanted, sizeof wanted); // which it is at when it dies
            sip_close(service);
        }
        nebulet_process_kill(driver);
        sip_must(sip_join(driver, &how), "waiting for its end");
        if (how.how != NEBULET_KILLED)
            sip_panic("life %u: it has ended by itself", i);
    }
    if (!answers)
        sip_panic("not one answer");
    sip_printf("killed\n");
    return 0;
}
