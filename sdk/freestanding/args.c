// SPDX-License-Identifier: MIT
// int main(int argc, char **argv): the arguments come by WASI, as for programs with a libc.
#include <stdint.h>
#include <stdlib.h>
#include <sip.h>

#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))
WASI(args_sizes_get) uint16_t wasi_args_sizes_get(uint32_t *count, uint32_t *size);
WASI(args_get) uint16_t wasi_args_get(char **argv, char *text);

int __main_argc_argv(int argc, char **argv);
__attribute__((weak)) int __main_void(void);

int __main_void(void)
{
    uint32_t count = 0, size = 0;
    if (wasi_args_sizes_get(&count, &size))
        sip_panic("arguments: unavailable");
    char **argv = calloc(count + 1, sizeof *argv), *text = malloc(size + 1);
    if (!argv || !text || wasi_args_get(argv, text))
        sip_panic("arguments: unavailable");
    return __main_argc_argv((int)count, argv);
}
