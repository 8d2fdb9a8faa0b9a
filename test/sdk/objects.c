// SPDX-License-Identifier: MIT
// libsip's calls within one process: what they return when all is well, and when not.
#include <string.h>
#include <sip.h>

static void says(const char *what, int64_t result)
{
    if (result < 0)
        sip_printf("%s: %s\n", what, sip_error_text(result));
    else
        sip_printf("%s: %lld\n", what, result);
}

static void channels(void)
{
    nebulet_handle ends[2], given;
    uint32_t value = 1234, got = 0;
    char text[8];

    says("channel", sip_channel(ends));
    says("a value", sip_send_value(ends[0], &value));
    says("received", sip_recv_value(ends[1], &got));
    sip_printf("%u\n", got);
    sip_must(sip_send(ends[0], "abc", 3), "sending");
    says("of another size", sip_recv_value(ends[1], &got));
    sip_must(sip_send(ends[0], "too long for it", 15), "sending");
    says("larger than the room", sip_recv(ends[1], text, sizeof text));

    nebulet_handle event = (nebulet_handle)sip_must(nebulet_event_create(), "an event");
    nebulet_handle pair[2];
    sip_must(sip_channel(pair), "a channel");
    says("with a handle", sip_send_handle(pair[0], "h", 1, event));
    says("which is gone", sip_signal(event));
    says("received", sip_recv_handle(pair[1], text, sizeof text, &given));
    says("signaled", sip_signal(given));
    says("waited", sip_wait(given, NEBULET_EVENT_SIGNALED) & NEBULET_EVENT_SIGNALED);
    sip_close(pair[0]);
    says("from nobody", sip_recv(pair[1], text, sizeof text));
    says("to nobody", sip_send(pair[1], text, 1));
    says("on an event", sip_send(given, text, 1));
    sip_close(NEBULET_NO_HANDLE);
}

static void streams(void)
{
    nebulet_handle ends[2];
    char text[16] = {0};

    says("stream", sip_stream(ends));
    says("written", sip_write(ends[0], "some bytes", 10));
    says("read", sip_read(ends[1], text, 4));
    says("read", sip_read(ends[1], text + 4, 12));
    sip_printf("%s\n", text);
    sip_close(ends[0]);
    says("at the end", sip_read(ends[1], text, 4));
}

static void times(void)
{
    uint64_t start = sip_now();
    sip_sleep(3 * SIP_MS);
    sip_printf("slept%s\n", sip_now() - start < 3 * SIP_MS ? " too little" : "");
    sip_printf("forever is %s\n",
               sip_after(NEBULET_FOREVER) == NEBULET_FOREVER ? "forever" : "not");
    nebulet_handle timer = (nebulet_handle)sip_must(sip_timer(SIP_MS, 0), "a timer");
    says("timer", sip_wait(timer, NEBULET_EVENT_SIGNALED) & NEBULET_EVENT_SIGNALED);
    timer = (nebulet_handle)sip_must(sip_timer(SIP_MS, 2 * SIP_MS), "a timer");
    for (int i = 0; i < 3; i++)
        says("tick", sip_tick(timer, NEBULET_FOREVER));
    nebulet_handle event = (nebulet_handle)sip_must(nebulet_event_create(), "an event");
    says("at once", nebulet_object_wait_one(event, NEBULET_EVENT_SIGNALED, NEBULET_AT_ONCE));
    says("for a while", nebulet_object_wait_one(event, NEBULET_EVENT_SIGNALED, sip_after(SIP_MS)));
}

static int done;
static void do_it(void)
{
    done++;
}

static void locks(void)
{
    struct sip_mutex mutex = {0};
    struct sip_once once = {0};
    sip_lock(&mutex);
    sip_unlock(&mutex);
    says("not held", nebulet_pfex_release(&mutex.word));
    sip_once(&once, do_it);
    sip_once(&once, do_it);
    sip_printf("once: %d\n", done);
}

static void random_bytes(void)
{
    unsigned char a[32] = {0}, b[32] = {0};
    sip_random(a, sizeof a);
    sip_random(b, sizeof b);
    sip_printf("random: %s\n", memcmp(a, b, sizeof a) ? "different" : "the same");
}

int main(void)
{
    channels();
    streams();
    times();
    locks();
    random_bytes();
    says("no service, no wait", nebulet_service_connect("nobody", 6, NEBULET_AT_ONCE));
    sip_must(NEBULET_ERR_BAD_STATE, "the end");
}
