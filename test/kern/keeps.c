// SPDX-License-Identifier: MIT
// A hostile guest for each kind of thing that can be kept for one: it asks for more until it is
// refused, or for a great many. It has a limit of memory, and whoever runs it looks at what the
// whole program or machine takes (test/suites/kern.py): what is told must be what is taken.
//
//     keeps KIND        begins with "kept", if it could do what it is to do
//
// Others that it starts lie in keeps/.
#include "nebulet.h"
#include "keeps/link.h"
#include <sys/stat.h>

static void print(s64 n, s64 last)
{
    printf("kept %lld, then %lld\n", (long long)n, (long long)last);
}

static void fill(void)
{
    for (size_t page; (page = __builtin_wasm_memory_grow(0, 1)) != SIZE_MAX;)
        memset((void *)(page << 16), 1, 1 << 16);
}

// --- In the tables and queues of the kernel

static void channels(void)
{
    u32 e[2], ends[NEBULET_MESSAGE_HANDLES], queue[2] = {0};
    s64 s = 0, n = 0;
    for (; s == 0; n += s == 0) {
        if (n % NEBULET_QUEUE_MAX == 0 && (s = nb_channel_create(&queue)))
            break;
        u32 have = 0;
        for (; have < countof(ends) && (s = nb_channel_create(&e)) == 0; have += 2)
            memcpy(&ends[have], e, sizeof e);
        if (!s)
            s = nb_channel_send(queue[0], NULL, 0, ends, have, NOW);
    }
    print(n, s);
}

static void messages(void)
{
    static char bytes[NEBULET_MESSAGE_MAX];
    u32 e[2];
    s64 s = 0, n = 0;
    for (u32 size = sizeof bytes;; size = size / 3) {
        if ((s = nb_channel_create(&e)))
            break;
        while ((s = nb_channel_send(e[0], bytes, size, NULL, 0, NOW)) == 0)
            n++;
        if (s != ERR_SHOULD_WAIT && !size)
            break;
        if (s == ERR_SHOULD_WAIT)
            size *= 3;
    }
    print(n, s);
}

static void handles(void)
{
    u32 e = GOOD(nb_event_create());
    s64 s = 0, n = 0;
    for (; (s = nb_handle_duplicate(e, NEBULET_SAME_RIGHTS)) >= 0; n++)
        ;
    print(n, s);
}

static void events(void)
{
    s64 s = 0, n = 0;
    for (; (s = n % 2 ? nb_event_create() : nb_timer_create()) >= 0; n++)
        if (n % 2 == 0)
            EXPECT(nb_timer_set((u32)s, now() + 3600 * 1000 * MS, 0), 0);
    print(n, s);
}

static void streams(void)
{
    u32 e[2];
    s64 s = 0, n = 0;
    for (; s >= 0; n += s >= 0)
        if ((s = nb_stream_create(&e)) == 0)
            s = nb_stream_write(e[0], "x", 1, NOW);
    print(n, s);
}

// --- In what is left over of pages: of what it made at first, one in forty stays

static void holes(u32 size)
{
    enum { PAIRS = 600, KEPT = 40 };
    static u32 ends[PAIRS][2];
    static char bytes[4096];
    s64 s = 0, n = 0;
    for (u32 i = 0; i < PAIRS; i++)
        EXPECT(nb_channel_create(&ends[i]), 0);
    for (u32 i = 0; s == 0; i = (i + 1) % PAIRS, n += s == 0)
        s = nb_channel_send(ends[i][0], bytes, size, NULL, 0, NOW);
    for (u32 i = 0; i < PAIRS; i++)
        if (i % KEPT)
            EXPECT(nb_handle_close(ends[i][0]) + nb_handle_close(ends[i][1]), 0);
    fill();
    print(n, s);
}

static void small_holes(void)
{
    holes(40);
}

static void large_holes(void)
{
    holes(3000);
}

// --- In what is left over of a block when a smaller one takes its place

static void places(void)
{
    enum { LARGE = 64000, SMALL = 33000 };
    static char bytes[LARGE];
    u32 near, far, queue[2];
    s64 s = 0, n = 0;
    pair(&near, &far);
    for (; s >= 0; n++) {
        if (n % NEBULET_QUEUE_MAX == 0 && (s = nb_channel_create(&queue)))
            break;
        for (u32 i = 0; i < 2 && s >= 0; i++)
            if ((s = nb_channel_send(near, bytes, sizeof bytes, NULL, 0, NOW)) == 0)
                s = nb_channel_recv(far, bytes, sizeof bytes, NULL, 0, NULL, NOW);
        if (s >= 0)
            s = nb_channel_send(queue[0], bytes, SMALL, NULL, 0, NOW);
    }
    print(n, s);
}

// --- In processes

static void arguments(void)
{
    enum { SIZE = 20 << 20 };
    char *args = malloc(SIZE);
    TRUE(args != NULL);
    memset(args, 'x', SIZE);
    args[SIZE - 1] = 0;
    s64 s = 0, n = 0;
    while ((s = nb_process_create(own_module(), NEBULET_NO_HANDLE, NULL, 0, args, SIZE)) >= 0)
        n++;
    print(n, s);
}

static void memories(void)
{
    s64 s = 0, n = 0;
    u32 module = own_module();
    char args[] = "keeps.wasm\0fills";
    while ((s = nb_process_create(module, NEBULET_NO_HANDLE, NULL, 0, args, sizeof args)) >= 0) {
        if (nb_process_start((u32)s))
            break;
        n++;
        sleep_ms(1);
    }
    print(n, s);
}

// Large ones, then small ones: pages that nobody has mapped.
static void shared(void)
{
    s64 s = 0, n = 0;
    for (u32 size = 1 << 20; size >= 4096; size /= 16)
        for (; (s = nb_memory_create(size)) >= 0; n++)
            ;
    print(n, s);
}

static void fills(void)
{
    fill();
    sleep_ms(1000);
}

// --- In a tree of processes

enum { DESCENDANTS = 1000 };

// Processes outlive who made them.
static void waits(void)
{
    sleep_ms(2000);
}

static void wide(void)
{
    s64 s = 0, n = 0;
    u32 module = own_module();
    char args[] = "keeps.wasm\0waits";
    for (; n < DESCENDANTS && s >= 0; n += s >= 0) {
        s = nb_process_create(module, NEBULET_NO_HANDLE, NULL, 0, args, sizeof args);
        if (s >= 0 && nb_process_start((u32)s) == 0)
            nb_thread_yield();
    }
    print(n, s);
}

// A crowd that has gone leaves nothing in pools but a constant.
static void bides(void)
{
    static char touched[100 << 10];
    memset(touched, 1, sizeof touched);
    sleep_ms(500);
}

static void gone(void)
{
    static u32 p[DESCENDANTS];
    u32 n = 0, module = own_module();
    char args[] = "keeps.wasm\0bides";
    s64 s = 0;
    for (; n < DESCENDANTS && s >= 0; n += s >= 0) {
        s = nb_process_create(module, NEBULET_NO_HANDLE, NULL, 0, args, sizeof args);
        if (s < 0)
            break;
        p[n] = (u32)s;
        s = nb_process_start(p[n]);
        if (s < 0)
            EXPECT(nb_handle_close(p[n]), 0); // it would be waited for for ever
        else
            nb_thread_yield();
    }
    for (u32 i = 0; i < n; i++) {
        EXPECT(nb_process_wait(p[i], FOREVER, NULL), 0);
        EXPECT(nb_handle_close(p[i]), 0);
    }
    fill();
    print(n, s);
}

// As many of a module as there may be, or most; those that could not be started are there, too.
static void start_all(u32 module, u32 most)
{
    s64 s = 0, n = 0;
    for (; n < most && s >= 0; n += s >= 0)
        if ((s = nb_process_create(module, NEBULET_NO_HANDLE, NULL, 0, NULL, 0)) >= 0) {
            s = nb_process_start((u32)s);
            nb_thread_yield();
        }
    print(n, s);
}

static void bare(void)
{
    start_all(module_of("waits.wasm"), DESCENDANTS);
}

// One makes the next, and some leaves each, and says how many there are; until the last one ends,
// which may be for want of memory.
static void links(u32 leaves)
{
    struct link_message m = {.most = DESCENDANTS, .leaves = leaves};
    u32 near, far, to, from, module = module_of("link.wasm");
    pair(&near, &far);
    pair(&to, &from);
    u32 sent[3] = {(u32)GOOD(nb_handle_duplicate(module, NEBULET_SAME_RIGHTS)),
                   module_of("waits.wasm"), far};
    EXPECT(nb_channel_send(to, &m, sizeof m, sent, countof(sent), NOW), 0);
    u32 p = GOOD(nb_process_create(module, from, NULL, 0, NULL, 0));
    EXPECT(nb_process_start(p), 0);
    s64 s, made = 0;
    while ((s = nb_channel_recv(near, &m, sizeof m, NULL, 0, NULL, FOREVER)) == sizeof m)
        made = m.made;
    print(made, s);
}

static void bare_chain(void)
{
    links(0);
}

static void bushes(void)
{
    links(6);
}

// Makes the next of the chain, which is sent what it takes to go on, and says how deep it is. The
// last one says 0; or `done` closes, since it ended for want of memory before it could.
static void next(u32 depth, u32 module, u32 done)
{
    char args[] = "keeps.wasm\0link";
    u32 ends[2], sent[2] = {0, done};
    s64 p = depth < DESCENDANTS ? nb_channel_create(&ends) : ERR_NO_RESOURCES;
    if (p >= 0)
        p = nb_process_create(module, ends[1], NULL, 0, args, sizeof args);
    s64 again = p >= 0 ? nb_handle_duplicate(module, NEBULET_SAME_RIGHTS) : p;
    sent[0] = (u32)again;
    depth++;
    nb_channel_send(done, &depth, sizeof depth, NULL, 0, NOW);
    if (again < 0 || nb_channel_send(ends[0], &depth, sizeof depth, sent, 2, NOW) ||
        nb_process_start((u32)p))
        nb_channel_send(done, &(u32){0}, sizeof depth, NULL, 0, NOW);
}

static void goes_on(void)
{
    u32 depth, got[2];
    if (nb_channel_recv(0, &depth, sizeof depth, got, 2, NULL, FOREVER) == sizeof depth)
        next(depth, got[0], got[1]);
    waits();
}

static void chain(void)
{
    u32 near, far;
    pair(&near, &far);
    next(0, own_module(), far);
    s64 n, deepest = 0;
    while ((n = recv_word(near, FOREVER)) > 0)
        deepest = n;
    print(deepest, deepest > 1 ? 0 : n);
}

// --- In threads: each goes some 400 KiB down its stack and waits there

static __attribute__((noinline)) u64 down(u32 n, u64 a, u64 b, u64 c, u64 d)
{
    if (!n)
        return (u64)nb_object_wait_many(NULL, 0, FOREVER);
    u64 below = down(n - 1, b, c, d, a ^ n);
    __asm__ volatile("" : "+r"(below));
    return below + a + b * c + d;
}

static void goes_down(u32 n)
{
    nb_thread_exit((u32)down(n, 1, 2, 3, 4));
}

enum { FRAMES = 8000, MANY = 2000 };

static void sits(void)
{
    enum { STACK = 8192 };
    for (u32 i = 0; i < MANY; i++) {
        char *stack = malloc(STACK);
        if (!stack ||
            nb_thread_spawn((u32)(uintptr_t)goes_down, FRAMES, (u32)(uintptr_t)stack + STACK) < 0)
            exit(1); // refused here, where a thread's own part is larger (sanitizers)
        nb_thread_yield();
    }
    sleep_ms(1000);
    exit(0);
}

static void stacks(void)
{
    struct nebulet_exit e;
    u32 p = child("sits", NEBULET_NO_HANDLE, NULL);
    EXPECT(nb_process_wait(p, FOREVER, &e), 0);
    TRUE(e.how != NEBULET_EXITED || e.code); // it was refused something
    print(1, e.how);
}

// As deep as has been paid for at the beginning.
static void sits_high(void)
{
    enum { STACK = 8192 };
    char *stack;
    for (s64 s = 0; s >= 0 && (stack = malloc(STACK)); nb_thread_yield())
        s = nb_thread_spawn((u32)(uintptr_t)goes_down, 120, (u32)(uintptr_t)stack + STACK);
    sleep_ms(1000);
    exit(0);
}

static void low_stacks(void)
{
    struct nebulet_exit e;
    u32 p = child("sits high", NEBULET_NO_HANDLE, NULL);
    EXPECT(nb_process_wait(p, FOREVER, &e), 0);
    print(1, e.how);
}

// --- In threads that wait: messages that find no room, and what they wait for

static u32 to_full;

static void sends(u32 unused)
{
    static char bytes[NEBULET_MESSAGE_MAX];
    (void)unused;
    nb_channel_send(to_full, bytes, sizeof bytes, NULL, 0, FOREVER);
}

static void waits_for_many(u32 event)
{
    struct nebulet_wait items[NEBULET_WAIT_MAX / 2];
    for (u32 i = 0; i < countof(items); i++)
        items[i] = (struct nebulet_wait){event, NEBULET_EVENT_SIGNALED, 0};
    nb_object_wait_many(items, countof(items), FOREVER);
}

static void threads(void (*fn)(u32), u32 arg)
{
    enum { STACK = 8192 };
    s64 s = 0, n = 0;
    for (char *stack; s >= 0 && (stack = malloc(STACK)); n += s >= 0) {
        s = nb_thread_spawn((u32)(uintptr_t)fn, arg, (u32)(uintptr_t)stack + STACK);
        nb_thread_yield();
    }
    print(n, s);
    exit(0);
}

static void senders(void)
{
    u32 other;
    pair(&to_full, &other);
    while (nb_channel_send(to_full, NULL, 0, NULL, 0, NOW) == 0)
        ;
    threads(sends, 0);
}

static void waiters(void)
{
    threads(waits_for_many, GOOD(nb_event_create()));
}

static void services(void)
{
    char name[NEBULET_NAME_MAX];
    s64 s = 0, n = 0;
    memset(name, 'x', sizeof name);
    for (; s >= 0; n += s >= 0) {
        memcpy(name, &n, sizeof n);
        s = nb_service_create(name, sizeof name);
    }
    print(n, s);
}

// --- In mappings, as many as each process may have

enum { WINDOW = 4096 };

static void maps(void)
{
    u32 m;
    char *at = aligned_alloc(WINDOW, NEBULET_MAPPINGS_MAX * WINDOW);
    EXPECT(nb_channel_recv(0, NULL, 0, &m, 1, NULL, FOREVER), 0);
    for (u32 i = 0; i < NEBULET_MAPPINGS_MAX; i++)
        if (nb_memory_map(m, (u32)(uintptr_t)at + i * WINDOW, 0, WINDOW))
            break;
    sleep_ms(1000);
}

static void mappings(void)
{
    s64 s = 0, n = 0, h, p;
    u32 m = GOOD(nb_memory_create(1 << 20)), near, far;
    char args[] = "keeps.wasm\0maps";
    for (; s >= 0; n += s >= 0) {
        pair(&near, &far);
        u32 sent = (u32)(h = nb_handle_duplicate(m, NEBULET_SAME_RIGHTS));
        p = h < 0 ? h : nb_process_create(own_module(), far, NULL, 0, args, sizeof args);
        s = p < 0 ? p : nb_process_start((u32)p);
        if (s >= 0)
            s = nb_channel_send(near, NULL, 0, &sent, 1, NOW);
        sleep_ms(1);
    }
    print(n, s);
}

// --- In files and folders, which only the machine has in memory

static void files(void)
{
    static char bytes[5000];
    char name[32];
    s64 n = 0;
    for (bool more = true; more; n++) {
        snprintf(name, sizeof name, "/%lld", (long long)n);
        FILE *f = fopen(name, "w");
        more = f && fwrite(bytes, sizeof bytes, 1, f) == 1;
        more = f && fclose(f) == 0 && more;
    }
    print(n, 0);
}

static void folders(void)
{
    char name[200];
    s64 n = 0;
    memset(name, 'x', sizeof name);
    do {
        int length = snprintf(name, sizeof name, "/%lld", (long long)n++);
        name[length] = 'x';
        name[sizeof name - 1] = 0;
    } while (!mkdir(name, 0777));
    print(n, 0);
}

// --- In modules

// Five bytes for every number.
static uint8_t *put_number(uint8_t *p, u32 n)
{
    for (u32 i = 0; i < 5; i++)
        *p++ = (uint8_t)(n >> 7 * i & 0x7f) | (i < 4 ? 0x80 : 0);
    return p;
}

static uint8_t *put(uint8_t *p, const void *bytes, u32 n)
{
    memcpy(p, bytes, n);
    return p + n;
}

enum { BODY = 100000, DATA = 1 << 20 };

// A function that calls itself a great many times: machine code is larger than that.
static u32 a_function(uint8_t *to)
{
    static const uint8_t start[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0};
    uint8_t *p = put(to, start, sizeof start);
    *p++ = 10;
    p = put_number(p, 1 + 5 + 2 + BODY);
    *p++ = 1;
    p = put_number(p, 2 + BODY);
    *p++ = 0; // locals
    for (u32 i = 0; i < BODY; i += 2)
        p = put(p, "\x10\0", 2);
    *p++ = 0x0b;
    return (u32)(p - to);
}

// A memory that begins with data.
static u32 data(uint8_t *to)
{
    static const uint8_t start[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 5, 3, 1, 0, 20, 11};
    uint8_t *p = put(to, start, sizeof start);
    p = put_number(p, 1 + 4 + 5 + DATA);
    p = put(p, "\1\0\x41\0\x0b", 5);
    p = put_number(p, DATA);
    memset(p, 1, DATA);
    return (u32)(p + DATA - to);
}

static void modules(u32 (*make)(uint8_t *to), u32 instances)
{
    char message[100];
    uint8_t *bytes = malloc(2 << 20);
    u32 n = make(bytes);
    s64 s, made = 0, p;
    for (; (s = nb_wasm_compile(bytes, n, message, sizeof message)) >= 0; made++)
        for (u32 i = 0; i < instances; i++)
            if ((p = nb_process_create((u32)s, NEBULET_NO_HANDLE, NULL, 0, "", 1)) >= 0)
                nb_handle_close((u32)p);
    print(made, s);
}

enum { EXPORTS = 1000, NAME = 1000 };

// A function with a great many long names.
static u32 names(uint8_t *to)
{
    static const uint8_t start[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0};
    uint8_t *p = put(to, start, sizeof start);
    *p++ = 7;
    p = put_number(p, 5 + EXPORTS * (5 + NAME + 2));
    p = put_number(p, EXPORTS);
    for (u32 i = 0; i < EXPORTS; i++) {
        p = put_number(p, NAME);
        memset(p, 'x', NAME);
        snprintf((char *)p, NAME, "%u", i);
        p = put(p + NAME, "\0\0", 2);
    }
    p = put(p, "\x0a\4\1\2\0\x0b", 6);
    return (u32)(p - to);
}

static void exports(void)
{
    modules(names, 1);
}

static void tables(void)
{
    start_all(module_of("tables.wasm"), 200);
}

static void grows(void)
{
    start_all(module_of("grows.wasm"), 8);
}

static void environments(void)
{
    s64 s, n = 0;
    TRUE(getenv("LONG") && strlen(getenv("LONG")) > 10000);
    while ((s = nb_process_create(own_module(), NEBULET_NO_HANDLE, NULL, 0, NULL, 0)) >= 0)
        n++;
    print(n, s);
}

static void code(void)
{
    modules(a_function, 0);
}

static void images(void)
{
    modules(data, 3);
}

static const struct kind {
    const char *name;
    void (*fn)(void);
} kinds[] = {
    {"channels", channels},
    {"messages", messages},
    {"handles", handles},
    {"events", events},
    {"streams", streams},
    {"arguments", arguments},
    {"memories", memories},
    {"shared", shared},
    {"fills", fills},
    {"stacks", stacks},
    {"sits", sits},
    {"wide", wide},
    {"waits", waits},
    {"chain", chain},
    {"bare", bare},
    {"bare chain", bare_chain},
    {"bushes", bushes},
    {"low stacks", low_stacks},
    {"sits high", sits_high},
    {"senders", senders},
    {"waiters", waiters},
    {"services", services},
    {"mappings", mappings},
    {"maps", maps},
    {"files", files},
    {"folders", folders},
    {"exports", exports},
    {"tables", tables},
    {"grows", grows},
    {"environments", environments},
    {"link", goes_on},
    {"code", code},
    {"images", images},
    {"gone", gone},
    {"bides", bides},
    {"small holes", small_holes},
    {"large holes", large_holes},
    {"places", places},
};

int main(int argc, char **argv)
{
    own_name = argv[0];
    for (u32 i = 0; argc > 1 && i < countof(kinds); i++)
        if (!strcmp(argv[1], kinds[i].name))
            return kinds[i].fn(), 0;
    puts("keeps");
    return argc > 1;
}
