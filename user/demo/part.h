// SPDX-License-Identifier: MIT
// A demonstration of several processes is one program that plays all the parts: without arguments
// it is the one that starts the others, which are told their part by an argument. It finds itself
// as a file in /, so it is run with the folder that it lies in: nebulet run --dir build/demo::/ ...
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <sip.h>

// The program itself as a module, given argv[0].
static inline nebulet_handle part_module(const char *name)
{
    struct stat about;
    char path[256], why[160];
    sip_format(path, sizeof path, "/%s", name);
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &about))
        sip_panic("%s: %s", path, strerror(errno));
    size_t size = (size_t)about.st_size, done = 0;
    char *bytes = malloc(size);
    for (ssize_t n = 1; n > 0 && done < size; done += (size_t)n)
        if (!bytes || (n = read(fd, bytes + done, size - done)) < 0)
            sip_panic("%s: cannot be read", path);
    close(fd);
    int64_t module = sip_compile(bytes, done, why, sizeof why);
    free(bytes);
    if (module < 0)
        sip_panic("%s: %s: %s", path, sip_error_text(module), why);
    return (nebulet_handle)module;
}

// Starts the part; a word more for it may be NULL.
static inline nebulet_handle part_start(nebulet_handle module, const char *part, const char *word,
                                        const struct nebulet_options *options,
                                        nebulet_handle channel)
{
    const char *args[] = {part, part, word, NULL};
    return (nebulet_handle)sip_must(sip_start(module, args, options, channel), part);
}

// Waits for its end, and says how it was.
static inline void part_end(nebulet_handle process, const char *part)
{
    struct nebulet_exit end;
    char text[80];
    sip_must(sip_join(process, &end), part);
    sip_describe_exit(text, sizeof text, &end);
    sip_printf("%s: %s\n", part, text);
}
