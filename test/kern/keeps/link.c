// SPDX-License-Identifier: MIT
// A link of a chain of processes, with one page of memory: it is sent what keeps.c says, makes the
// leaves and the next link, and sleeps.
#include "../nebulet.h"
#include "link.h"

static struct link_message now_at;

__attribute__((export_name("_start"))) void _start(void)
{
    u32 got[3], ends[2], sent[3];
    s64 s = nb_channel_recv(0, &now_at, sizeof now_at, got, 3, NULL, FOREVER);
    if (s != sizeof now_at)
        return;
    for (u32 i = 0; i < now_at.leaves && s >= 0; i++, now_at.made += s >= 0)
        if ((s = nb_process_create(got[1], NEBULET_NO_HANDLE, NULL, 0, NULL, 0)) >= 0)
            s = nb_process_start((u32)s);
    // Should it end for want of memory in what follows.
    nb_channel_send(got[2], &now_at, sizeof now_at, NULL, 0, NOW);
    for (u32 i = 0; i < 2 && s >= 0; i++)
        sent[i] = (u32)(s = nb_handle_duplicate(got[i], NEBULET_SAME_RIGHTS));
    sent[2] = got[2];
    if (now_at.made >= now_at.most)
        s = ERR_NO_RESOURCES;
    if (s >= 0)
        s = nb_channel_create(&ends);
    s64 p = s < 0 ? s : nb_process_create(got[0], ends[1], NULL, 0, NULL, 0);
    now_at.made++;
    if (p < 0 || nb_process_start((u32)p) ||
        nb_channel_send(ends[0], &now_at, sizeof now_at, sent, 3, NOW)) {
        now_at.made--;
        nb_channel_send(got[2], &now_at, sizeof now_at, NULL, 0, NOW);
    }
    sleep_ms(2000);
}
