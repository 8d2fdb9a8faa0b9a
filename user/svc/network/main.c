// SPDX-License-Identifier: MIT
// network ARGUMENTS: what `nebulet boot --allow-net` has in the machine: the driver of its network
// device, and the service "net", which gets the arguments. Both are parts of this program, so
// nobody needs a folder to find them in, and either one is started again when it dies.
#include <stdlib.h>
#include <string.h>
#include <sip.h>

#define SHORT SIP_MS // between two starts, at first
#define LONG SIP_SECOND

static const uint8_t driver_wasm[] = {
#embed "drv/virtio-net.wasm"
};
static const uint8_t net_wasm[] = {
#embed "svc/net.wasm"
};

static struct part {
    const char *name;
    const uint8_t *bytes;
    size_t size;
    uint32_t may;
    bool owns_device;
    nebulet_handle module;
    const char *args[200];
} driver = {.name = "virtio-net",
            .bytes = driver_wasm,
            .size = sizeof driver_wasm,
            .may = NEBULET_MAY_SERVE | NEBULET_MAY_PRINT,
            .owns_device = true,
            .args = {"virtio-net"}},
  net = {.name = "net",
         .bytes = net_wasm,
         .size = sizeof net_wasm,
         .may = NEBULET_MAY_SERVE | NEBULET_MAY_CONNECT | NEBULET_MAY_PRINT,
         .args = {"net"}};

// Of the network, opened: reset, and nobody else's.
static int64_t open_device(void)
{
    enum { VIRTIO = 0x1af4, NETWORK = 1 };
    struct nebulet_device d;
    for (uint32_t i = 0; nebulet_device_list(i, &d) >= 0; i++)
        if (d.vendor == VIRTIO && d.id == NETWORK + (d.bus == NEBULET_PCI ? 0x1040 : 0))
            return nebulet_device_open(i);
    return NEBULET_ERR_NOT_FOUND;
}

static int64_t start(const struct part *p)
{
    struct nebulet_options options = {.privileges = p->may};
    nebulet_handle ends[2];
    strcpy(options.name, p->name);
    if (!p->owns_device)
        return sip_start(p->module, p->args, &options, NEBULET_NO_HANDLE);
    int64_t device = open_device();
    if (device < 0)
        return device;
    sip_must(sip_channel(ends), "network: a channel");
    sip_must(sip_send_handle(ends[0], NULL, 0, (nebulet_handle)device), "network: the device");
    sip_close(ends[0]);
    return sip_start(p->module, p->args, &options, ends[1]);
}

static int32_t keep(void *part)
{
    struct part *p = part;
    char what[160];
    struct nebulet_exit how;
    p->module =
        (nebulet_handle)sip_must(sip_compile(p->bytes, p->size, what, sizeof what), p->name);
    for (uint64_t wait = SHORT;;) {
        uint64_t began = sip_now();
        int64_t process = start(p);
        // The device is the last driver's until all that it had is given back.
        if (process == NEBULET_ERR_ALREADY_OWNED) {
            sip_sleep(SHORT);
            continue;
        }
        sip_must(process, p->name);
        sip_must(sip_join((nebulet_handle)process, &how), p->name);
        sip_describe_exit(what, sizeof what, &how);
        sip_printf("network: %s: %s; starts again\n", p->name, what);
        wait = sip_now() - began > 10 * LONG ? SHORT : wait < LONG ? 2 * wait : LONG;
        sip_sleep(wait);
    }
}

int main(int argc, char **argv)
{
    struct sip_thread thread;
    if ((size_t)argc >= sizeof net.args / sizeof *net.args)
        sip_panic("network: too many rules");
    for (int i = 1; i < argc; i++)
        net.args[i] = argv[i];
    sip_must(sip_thread_start(&thread, keep, &driver, 0), "network: a thread");
    return keep(&net);
}
