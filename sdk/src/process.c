// SPDX-License-Identifier: MIT
// Other processes.
#include <stdlib.h>
#include <string.h>
#include <sip.h>

int64_t sip_compile(const void *bytes, size_t size, char *message, size_t room)
{
    if (room)
        message[0] = 0;
    return nebulet_wasm_compile(bytes, (uint32_t)size, message, (uint32_t)room);
}

// One after the other, each with its 0. *size is what they take; out may be NULL.
static void join_args(const char *const *args, char *out, size_t *size)
{
    *size = 0;
    for (; args && *args; args++) {
        size_t n = strlen(*args) + 1;
        if (out)
            memcpy(out + *size, *args, n);
        *size += n;
    }
}

int64_t sip_create(nebulet_handle module, const char *const *args,
                   const struct nebulet_options *options, nebulet_handle channel)
{
    size_t size;
    join_args(args, NULL, &size);
    char *joined = malloc(size + 1);
    if (!joined)
        return NEBULET_ERR_NO_MEMORY;
    join_args(args, joined, &size);
    int64_t process = nebulet_process_create(module, channel, options,
                                             options ? sizeof *options : 0, joined, (uint32_t)size);
    free(joined);
    return process;
}

int64_t sip_start(nebulet_handle module, const char *const *args,
                  const struct nebulet_options *options, nebulet_handle channel)
{
    int64_t process = sip_create(module, args, options, channel);
    if (process < 0)
        return process;
    int64_t result = nebulet_process_start((nebulet_handle)process);
    if (result >= 0)
        return process;
    sip_close((nebulet_handle)process);
    return result;
}

int64_t sip_folder(nebulet_handle process, nebulet_handle channel, const char *name)
{
    return nebulet_process_folder(process, channel, name, (uint32_t)strlen(name));
}

int64_t sip_folder_of(nebulet_handle process, nebulet_handle channel, const char *name,
                      const char *service)
{
    char both[255 + 1 + NEBULET_NAME_MAX];
    size_t n = strlen(name), m = strlen(service);
    if (n > 255 || m > NEBULET_NAME_MAX)
        return NEBULET_ERR_INVALID_ARG;
    memcpy(both, name, n + 1);
    memcpy(both + n + 1, service, m);
    return nebulet_process_folder(process, channel, both, (uint32_t)(n + 1 + m));
}

int64_t sip_stdio(nebulet_handle process, uint32_t number, nebulet_handle stream)
{
    return nebulet_process_stream(process, number, stream);
}

int64_t sip_environment(nebulet_handle process, const char *const *variables)
{
    size_t size;
    join_args(variables, NULL, &size);
    char *joined = malloc(size + 1);
    if (!joined)
        return NEBULET_ERR_NO_MEMORY;
    join_args(variables, joined, &size);
    int64_t result = nebulet_process_environment(process, joined, (uint32_t)size);
    free(joined);
    return result;
}

int64_t sip_join(nebulet_handle process, struct nebulet_exit *end)
{
    int64_t result = nebulet_process_wait(process, NEBULET_FOREVER, end);
    if (result >= 0)
        sip_close(process);
    return result;
}
