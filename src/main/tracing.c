// SPDX-License-Identifier: MIT
// Each line is written at once, for nobody knows how the program ends.
#include "main/tracing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/trace.h"
#include "main/host.h"
#include "plat/linux/lines.h"

static int opened = -1;
static const char *name_of_opened;

static bool is_call(const char *pattern)
{
    static const char *const names[] = {
#define CALL(name, same, args) #name,
#include "abi/wasi.def"
#define CALL(number, name, ...) #name,
#include "abi/nebulet.def"
    };
    bool found = false;
    for (u32 i = 0; i < countof(names) && !found; i++)
        found = trace_lists(pattern, names[i]);
    return found;
}

// All that are named are there, or begin the names of some.
static bool are_calls(const char *list)
{
    for (size_t n; *list; list += n + (list[n] == ',')) {
        n = strcspn(list, ",");
        char *one = strndup(list, n);
        bool known = one && is_call(one);
        free(one);
        if (!known)
            return complain("--trace-calls: there is no call '%.*s'", (int)n, list), false;
    }
    return true;
}

bool tracing_check(const struct options *o)
{
    return !o->trace || are_calls(tracing_calls(o));
}

bool tracing_begin(const struct options *o)
{
    int fd = STDERR_FILENO;
    if (!o->trace)
        return true;
    if (*o->trace) {
        name_of_opened = o->trace;
        fd = opened = open(o->trace, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
        if (fd < 0)
            complain("%s: %s", o->trace, strerror(errno));
    }
    if (fd < 0)
        return false;
    lines_open(fd);
    trace_to(lines_put, tracing_calls(o));
    return true;
}

const char *tracing_calls(const struct options *o)
{
    return o->trace_calls ? o->trace_calls : "*";
}

void tracing_end(void)
{
    int error = lines_close();
    if (opened >= 0 && close(opened))
        error = errno;
    if (opened >= 0 && error)
        complain("%s: %s", name_of_opened, strerror(error));
    opened = -1;
}
