// SPDX-License-Identifier: MIT
// Opens libnats: see nats.h. The version is that of the headers, for what stands in its structures
// is not the same in all.
#include "main/nats.h"

#include <dlfcn.h>
#include <stddef.h>

#include "main/host.h"

#ifdef NATS_VERSION_MAJOR
#define TEXT_OF(x) #x
#define VERSION_OF(major, minor) TEXT_OF(major) "." TEXT_OF(minor)
#define VERSION VERSION_OF(NATS_VERSION_MAJOR, NATS_VERSION_MINOR)

const struct nats *nats_open(void)
{
    static struct nats nats;
    void *library = dlopen("libnats.so." VERSION, RTLD_NOW);
    bool all = library != NULL;
#define X(name) all = all && (nats.name = (__typeof__(nats.name))dlsym(library, #name));
    NATS_FUNCTIONS(X)
#undef X
    // Who finds a lock taken waits: spinning costs more than it saves where CPUs are busy.
    if (all && !nats.nats_Open(0))
        return &nats;
    complain("messages need the library libnats.so." VERSION);
    hint("on Debian: apt install libnats" VERSION);
    return NULL;
}
#else
const struct nats *nats_open(void)
{
    complain("this program was built without libnats");
    hint("on Debian: apt install libnats-dev, and build it again");
    return NULL;
}
#endif
