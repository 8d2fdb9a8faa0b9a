// SPDX-License-Identifier: MIT
// Words: the kernel's command line, and files of it (kernel.c says what each means). A word is one
// of ours, or of the others': what boot loaders and machines add by themselves for Linux, which is
// taken and means nothing here. Any other is a mistake, for left out it would look as if it had
// been done.
#pragma once
#include "base/types.h"

// One that ends with '=' or '.' goes on with a value. The usual ones are found first.
#define WORDS(W)                                                                                   \
    W(init, "init=")                                                                               \
    W(dir, "dir=")                                                                                 \
    W(engine, "engine=")                                                                           \
    W(verbose, "-v")                                                                               \
    W(wast, "wast=")                                                                               \
    W(words, "words=")                                                                             \
    W(env, "env.")                                                                                 \
    W(dir_ro, "dir.ro=")                                                                           \
    W(own, "own=")                                                                                 \
    W(name, "name=")                                                                               \
    W(stdin, "stdin=")                                                                             \
    W(input, "input=")                                                                             \
    W(input_all, "input.all=")                                                                     \
    W(tty, "tty=")                                                                                 \
    W(argc, "argc=")                                                                               \
    W(memory, "memory=")                                                                           \
    W(time, "time=")                                                                               \
    W(cpu, "cpu=")                                                                                 \
    W(handles, "handles=")                                                                         \
    W(threads, "threads=")                                                                         \
    W(messages, "messages=")                                                                       \
    W(processes, "processes=")                                                                     \
    W(weight, "weight=")                                                                           \
    W(stack, "stack=")                                                                             \
    W(may, "may=")                                                                                 \
    W(trace, "trace=")                                                                             \
    W(stats, "stats")                                                                              \
    W(stats_json, "stats=json")                                                                    \
    W(more, "more")                                                                                \
    W(daemon, "daemon")                                                                            \
    W(keep, "keep")                                                                                \
    W(multiplex, "console=multiplex")                                                              \
    W(iommu, "iommu")                                                                              \
    W(refuse, "refuse=")                                                                           \
    W(refuse_all, "refuse.all=")                                                                   \
    W(tick, "tick=")

// The others': GRUB's and Limine's, Firecracker's and its relatives', and what people add to those.
// Any word that begins with what is before a '*' is one: we have a `console=`, too, and what is
// almost that is not Linux's. `virtio_mmio.device=` does mean something, to plat/pc/device.c.
#define WORDS_OF_OTHERS                                                                            \
    "BOOT_IMAGE= initrd= root= rootfstype= rootflags= ro rw quiet splash debug "                   \
    "nomodule nomodules noapic noacpi acpi= pci= reboot= panic= panic_print= loglevel= "           \
    "console=tty* console=hvc* console=uart* console=null earlyprintk earlyprintk= "               \
    "earlycon earlycon= swiotlb= tsc= clocksource= no-kvmapf random.trust_cpu= 8250. "             \
    "i8042. virtio_mmio. "

enum word {
#define WORD(name, text) WORD_##name,
    WORDS(WORD)
#undef WORD
        WORD_OF_OTHERS,
    WORD_UNKNOWN
};

struct words {
    char *at, *end;
    bool zeros;       // separated by zero bytes, not by spaces
    const char *file; // NULL: the command line
    u32 count;        // of those that were read
};

// Cuts the next one off; NULL: there is none.
char *words_next(struct words *w);
enum word word_find(const char *word, const char **value); // the value: "", if it has none
bool word_number(const char *text, u64 *out);              // false: it is none, or too large
// `word` is the last one that was read; `why` NULL: it is unknown. As fmt does.
size_t words_wrong(const struct words *w, const char *word, const char *why, char *text, size_t n);
