// SPDX-License-Identifier: MIT
// Each line is written at once, for nobody knows how the program ends.
#include "main/tracing.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "abi/trace.h"
#include "main/host.h"
#include "plat/linux/lines.h"

static int opened = -1;

bool tracing_begin(const struct options *o)
{
    int fd = STDERR_FILENO;
    if (!o->trace)
        return true;
    if (*o->trace) {
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
    lines_close();
    if (opened >= 0)
        close(opened);
    opened = -1;
}
