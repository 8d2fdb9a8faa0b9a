// SPDX-License-Identifier: MIT
// See disk.h.
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <sip.h>

#include "../../drv/block.h"

#define PATIENCE (10 * SIP_SECOND)
enum { SECTORS = DISK_BLOCK / BLOCK_SECTOR };

// --- A service

static _Alignas(4096) uint8_t window[DISK_BLOCK];
static nebulet_handle memory = NEBULET_NO_HANDLE, service = NEBULET_NO_HANDLE;
static const char *service_name;
static struct block_about about;

static int64_t attach(void)
{
    struct block_about now;
    int64_t result =
        nebulet_service_connect(service_name, (uint32_t)strlen(service_name), sip_after(PATIENCE));
    if (result < 0)
        return result;
    service = (nebulet_handle)result;
    int64_t copy = nebulet_handle_duplicate(memory, NEBULET_SAME_RIGHTS);
    result = copy < 0 ? copy : sip_send_handle(service, NULL, 0, (nebulet_handle)copy);
    if (result >= 0)
        result = sip_recv_value(service, &now);
    if (result >= 0 && about.sectors && now.sectors != about.sectors)
        result = NEBULET_ERR_BAD_STATE; // it is another disk
    if (result < 0) {
        sip_close(service);
        service = NEBULET_NO_HANDLE;
        return result;
    }
    about = now;
    return result;
}

static int64_t ask(uint32_t op, uint64_t sector, uint32_t size)
{
    struct block_request r = {op, 0, sector, 0, size};
    struct block_answer a;
    int64_t result = NEBULET_ERR_PEER_CLOSED;
    for (int tries = 0; tries < 3 && result < 0; tries++) {
        if (service == NEBULET_NO_HANDLE && (result = attach()) < 0)
            return result;
        result = sip_call_value(service, &r, &a);
        if (result < 0) {
            sip_close(service);
            service = NEBULET_NO_HANDLE;
        }
    }
    return result < 0 ? result : a.result;
}

static bool service_read(struct disk *d, uint32_t block, uint32_t at, void *bytes, uint32_t size)
{
    (void)d;
    if (ask(BLOCK_READ, (uint64_t)block * SECTORS + at / BLOCK_SECTOR, size) < 0)
        return false;
    memcpy(bytes, window, size);
    return true;
}

static bool service_write(struct disk *d, uint32_t block, uint32_t at, const void *bytes,
                          uint32_t size)
{
    (void)d;
    memcpy(window, bytes, size);
    return ask(BLOCK_WRITE, (uint64_t)block * SECTORS + at / BLOCK_SECTOR, size) >= 0;
}

static bool service_flush(struct disk *d)
{
    (void)d;
    return ask(BLOCK_FLUSH, 0, 0) >= 0;
}

struct disk *disk_service(const char *name)
{
    static struct disk disk = {
        .read = service_read, .write = service_write, .flush = service_flush};
    service_name = name;
    int64_t result = nebulet_memory_create(sizeof window);
    if (result < 0 || nebulet_memory_map((nebulet_handle)result, (uint32_t)(uintptr_t)window, 0,
                                         sizeof window) < 0)
        return NULL;
    memory = (nebulet_handle)result;
    if (attach() < 0)
        return NULL;
    disk.blocks = about.sectors / SECTORS;
    disk.read_only = about.read_only;
    return &disk;
}

// --- A file

static int file = -1;

static bool file_read(struct disk *d, uint32_t block, uint32_t at, void *bytes, uint32_t size)
{
    (void)d;
    return pread(file, bytes, size, (off_t)block * DISK_BLOCK + at) == (ssize_t)size;
}

static bool file_write(struct disk *d, uint32_t block, uint32_t at, const void *bytes,
                       uint32_t size)
{
    (void)d;
    return pwrite(file, bytes, size, (off_t)block * DISK_BLOCK + at) == (ssize_t)size;
}

static bool file_flush(struct disk *d)
{
    (void)d;
    return !fdatasync(file);
}

struct disk *disk_file(const char *path, bool read_only)
{
    static struct disk disk = {.read = file_read, .write = file_write, .flush = file_flush};
    struct stat st;
    if ((file = open(path, read_only ? O_RDONLY : O_RDWR)) < 0 || fstat(file, &st))
        return NULL;
    disk.blocks = (uint64_t)st.st_size / DISK_BLOCK;
    disk.read_only = read_only;
    return &disk;
}
