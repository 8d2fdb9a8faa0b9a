// SPDX-License-Identifier: MIT
// Four processes in a row, with streams between them: one writes a text, two change it, the last
// one counts what arrives. A stream holds 64 KiB and the text is larger, so they wait for each
// other.
#include <ctype.h>
#include "part.h"

enum { LINES = 20000, ROOM = 1000 };

// Each stage gets its streams in a message: what it reads, then what it writes, or either of them.
struct streams {
    nebulet_handle in, out;
};

static struct streams get_streams(const char *part)
{
    nebulet_handle handles[2];
    struct nebulet_message got;
    sip_must(nebulet_channel_recv(0, NULL, 0, handles, 2, &got, NEBULET_FOREVER), part);
    return (struct streams){handles[0], handles[got.handles - 1]};
}

static int source(struct streams s)
{
    char line[80];
    for (uint32_t i = 0; i < LINES; i++) {
        size_t n = sip_format(line, sizeof line, "Line %u of a text, by a Source\n", i);
        sip_must(sip_write(s.out, line, n), "source");
    }
    return 0;
}

static int upper(struct streams s)
{
    char text[ROOM];
    int64_t n;
    while ((n = sip_must(sip_read(s.in, text, sizeof text), "upper")) > 0) {
        for (int64_t i = 0; i < n; i++)
            text[i] = (char)toupper(text[i]);
        sip_must(sip_write(s.out, text, (size_t)n), "upper");
    }
    return 0;
}

// Without its vowels.
static int squeeze(struct streams s)
{
    char text[ROOM];
    int64_t n;
    while ((n = sip_must(sip_read(s.in, text, sizeof text), "squeeze")) > 0) {
        size_t kept = 0;
        for (int64_t i = 0; i < n; i++)
            if (!strchr("AEIOU", text[i]))
                text[kept++] = text[i];
        sip_must(sip_write(s.out, text, kept), "squeeze");
    }
    return 0;
}

static int count(struct streams s)
{
    char text[ROOM];
    uint32_t lines = 0, bytes = 0, sum = 0;
    int64_t n;
    while ((n = sip_must(sip_read(s.in, text, sizeof text), "count")) > 0) {
        bytes += (uint32_t)n;
        for (int64_t i = 0; i < n; i++) {
            lines += text[i] == '\n';
            sum = sum * 31 + (unsigned char)text[i];
        }
    }
    sip_printf("%u lines, %u bytes, checksum %08x\n", lines, bytes, sum);
    return 0;
}

static const struct {
    const char *name;
    int (*run)(struct streams s);
} stages[] = {{"source", source}, {"upper", upper}, {"squeeze", squeeze}, {"count", count}};
enum { STAGES = sizeof stages / sizeof *stages };

static nebulet_handle start_stage(nebulet_handle module, const char *name, nebulet_handle *streams,
                                  uint32_t n)
{
    struct nebulet_options options = {.privileges = NEBULET_MAY_PRINT};
    nebulet_handle ends[2];
    sip_must(sip_channel(ends), "a channel");
    nebulet_handle process = part_start(module, name, NULL, &options, ends[1]);
    sip_must(nebulet_channel_send(ends[0], NULL, 0, streams, n, NEBULET_FOREVER), name);
    sip_close(ends[0]);
    return process;
}

static void start_all(const char *self)
{
    nebulet_handle processes[STAGES], ends[2], streams[2], module = part_module(self);
    uint32_t n = 0;
    for (int i = 0; i < STAGES; i++) {
        if (i < STAGES - 1) {
            sip_must(sip_stream(ends), "a stream");
            streams[n++] = ends[0];
        }
        processes[i] = start_stage(module, stages[i].name, streams, n);
        streams[0] = ends[1];
        n = 1;
    }
    for (int i = STAGES; i-- > 0;)
        part_end(processes[i], stages[i].name);
}

int main(int argc, char **argv)
{
    for (int i = 0; argc > 1 && i < STAGES; i++)
        if (!strcmp(argv[1], stages[i].name))
            return stages[i].run(get_streams(stages[i].name));
    start_all(argv[0]);
    return 0;
}
