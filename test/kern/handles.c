// SPDX-License-Identifier: MIT
// Handles: rights, stale ones, limits, types; the rows' errors.
#include "nebulet.h"

static void rights(void)
{
    u32 e = GOOD(nb_event_create());
    u32 r = GOOD(nb_handle_duplicate(e, NEBULET_READ | NEBULET_DUPLICATE));
    EXPECT(nb_object_signal(r, 0, NEBULET_EVENT_SIGNALED), ERR_ACCESS_DENIED);
    EXPECT(nb_event_rearm(r), ERR_ACCESS_DENIED);
    EXPECT(nb_object_wait_one(r, NEBULET_EVENT_SIGNALED, NOW), ERR_SHOULD_WAIT);
    EXPECT(nb_handle_duplicate(r, NEBULET_WRITE), ERR_ACCESS_DENIED);
    EXPECT(nb_handle_duplicate(r, 16), ERR_INVALID_ARG);
    u32 same = GOOD(nb_handle_duplicate(r, NEBULET_SAME_RIGHTS));
    EXPECT(nb_object_signal(same, 0, NEBULET_EVENT_SIGNALED), ERR_ACCESS_DENIED);
    u32 w = GOOD(nb_handle_duplicate(e, NEBULET_WRITE));
    EXPECT(nb_handle_duplicate(w, NEBULET_WRITE), ERR_ACCESS_DENIED);
    EXPECT(nb_object_wait_one(w, NEBULET_EVENT_SIGNALED, NOW), ERR_ACCESS_DENIED);
    EXPECT(nb_object_signal(w, 0, NEBULET_EVENT_SIGNALED), 0);
    EXPECT(nb_object_wait_one(e, NEBULET_EVENT_SIGNALED, NOW), NEBULET_EVENT_SIGNALED);
    EXPECT(nb_object_signal(w, 0, NEBULET_READABLE), ERR_INVALID_ARG);
    EXPECT(nb_timer_set(e, 0, 0), ERR_WRONG_TYPE);
    EXPECT(nb_channel_send(e, NULL, 0, NULL, 0, NOW), ERR_WRONG_TYPE);
    u32 a, b;
    pair(&a, &b);
    u32 fixed = GOOD(nb_handle_duplicate(e, NEBULET_READ));
    EXPECT(nb_channel_send(a, NULL, 0, &fixed, 1, NOW), ERR_ACCESS_DENIED);
    EXPECT(nb_process_create(own_module(), fixed, NULL, 0, NULL, 0), ERR_WRONG_TYPE);
    fixed = GOOD(nb_handle_duplicate(a, NEBULET_READ));
    EXPECT(nb_process_create(own_module(), fixed, NULL, 0, NULL, 0), ERR_ACCESS_DENIED);
    u32 all[] = {e, r, same, w, a, b, fixed};
    for (u32 i = 0; i < countof(all); i++)
        EXPECT(nb_handle_close(all[i]), 0);
}

static void stale(void)
{
    static u32 old[5000];
    for (u32 i = 0; i < countof(old); i++) {
        old[i] = GOOD(nb_event_create());
        EXPECT(nb_handle_close(old[i]), 0);
    }
    u32 fresh = GOOD(nb_event_create());
    for (u32 i = 0; i < countof(old); i++) {
        EXPECT(nb_event_rearm(old[i]), ERR_BAD_HANDLE);
        EXPECT(nb_handle_close(old[i]), ERR_BAD_HANDLE);
    }
    EXPECT(nb_handle_close(fresh), 0);
    EXPECT(nb_handle_close(NEBULET_NO_HANDLE), ERR_BAD_HANDLE);
    EXPECT(nb_handle_close(0x7fffffff), ERR_BAD_HANDLE);
}

// As a child with room for ten.
static int limited(void)
{
    u32 ends[2], n = 0, h[10];
    struct nebulet_info info;
    (void)info;
    while (n < 10) // one is the channel that it was given
        if (nb_event_create() >= 0)
            n++;
        else
            break;
    if (n != 9)
        return 100 + (int)n;
    if (nb_event_create() != ERR_NO_RESOURCES || nb_channel_create(&ends) != ERR_NO_RESOURCES ||
        nb_handle_duplicate(0, NEBULET_SAME_RIGHTS) != ERR_NO_RESOURCES ||
        nb_timer_create() != ERR_NO_RESOURCES || nb_stream_create(&ends) != ERR_NO_RESOURCES)
        return 2;
    if (nb_channel_recv(0, NULL, 0, h, 10, NULL, FOREVER) != ERR_NO_RESOURCES)
        return 3;
    for (u32 i = 1; i < 4; i++)
        if (nb_handle_close(i))
            return 4;
    return nb_channel_recv(0, NULL, 0, h, 10, NULL, FOREVER) == 0 ? 7 : 5;
}

static void limits(void)
{
    u32 a, b, h[3];
    pair(&a, &b);
    for (u32 i = 0; i < 3; i++)
        h[i] = GOOD(nb_event_create());
    EXPECT(nb_channel_send(a, NULL, 0, h, 3, NOW), 0);
    struct nebulet_options o = {.handles = 10, .privileges = NEBULET_MAY_ALL};
    ENDED(child("limited", b, &o), NEBULET_EXITED, 7);
    EXPECT(nb_channel_send(a, NULL, 0, NULL, 0, NOW), ERR_PEER_CLOSED);
    EXPECT(nb_handle_close(a), 0);
    static u32 many[70000];
    u32 n = 0;
    s64 last;
    while ((last = nb_event_create()) >= 0 && n < countof(many))
        many[n++] = (u32)last;
    EXPECT(last, ERR_NO_RESOURCES);
    TRUE(n > 65000 && n < 65536);
    while (n)
        EXPECT(nb_handle_close(many[--n]), 0);
}

static void bounds(void)
{
    u32 size = (u32)__builtin_wasm_memory_size(0) << 16, a, b;
    pair(&a, &b);
    void *end = (void *)(uintptr_t)size;
    EXPECT(nb_channel_create((void *)(uintptr_t)(size - 4)), ERR_OUT_OF_BOUNDS);
    EXPECT(nb_channel_send(a, end, 1, NULL, 0, NOW), ERR_OUT_OF_BOUNDS);
    EXPECT(nb_channel_send(a, end, 0, NULL, 0, NOW), 0);
    EXPECT(nb_channel_send(a, NULL, 0xffffffff, NULL, 0, NOW), ERR_OUT_OF_BOUNDS);
    EXPECT(nb_channel_send(a, NULL, 0, (u32 *)4, 0x40000000, NOW), ERR_OUT_OF_BOUNDS);
    EXPECT(nb_channel_send(a, NULL, 65537, NULL, 0, NOW), ERR_INVALID_ARG);
    EXPECT(nb_channel_send(a, NULL, 0, NULL, 65, NOW), ERR_INVALID_ARG);
    EXPECT(nb_pfex_acquire((u32 *)2), ERR_INVALID_ARG);
    EXPECT(nb_pfex_acquire((u32 *)(uintptr_t)(size - 2)), ERR_OUT_OF_BOUNDS);
    EXPECT(nb_handle_close(a), 0);
    EXPECT(nb_handle_close(b), 0);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1)
        return limited();
    rights();
    stale();
    limits();
    bounds();
    puts("handles");
    return 0;
}
