// SPDX-License-Identifier: MIT
// perf samples addresses and looks their names up when it reports, so the file is written when the
// programs are over: nothing is done while they run.
#include "main/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "rt/rt.h"
#include "wasm/module.h"

// In a folder that is everybody's, so it is a new file, whatever is there.
FILE *profile_map_create(void)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/perf-%d.map", (int)getpid());
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *map = fd < 0 ? NULL : fdopen(fd, "w");
    if (map)
        return map;
    complain("%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return NULL;
}

void profile_map_add(FILE *to, const struct rt_module *rm)
{
    const struct compiled *c = &rm->compiled;
    const struct module *m = rm->m;
    for (u32 i = 0; c->funcs && i < m->nfuncs - m->nimported_funcs; i++) {
        const struct func_code *f = &c->funcs[i];
        u32 index = m->nimported_funcs + i;
        if (!f->end)
            continue;
        fprintf(to, "%lx %x ", (unsigned long)(c->run + f->start), f->end - f->start);
        if (m->func_names && m->func_names[index].length)
            print_text(to, m->func_names[index].p, m->func_names[index].length);
        else
            fprintf(to, "$f%u", index);
        fputc('\n', to);
    }
}
