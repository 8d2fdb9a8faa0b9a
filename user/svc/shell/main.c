// SPDX-License-Identifier: MIT
// shell: a prompt. Keys come from the service "keyboard" (drv/keyboard.h), what is shown goes to
// the service "screen"; when one of them is gone, the shell waits for it to come again. Programs
// have streams as standard input and output, and the shell is in between: it makes lines of what is
// typed for them, shows what they write, and ends them with Ctrl-C.
#include <string.h>

#include "../../drv/keyboard.h"
#include "shell.h"

#define PROMPT "nebulet> "
#define RETRY (50 * SIP_MS)
#define SCREEN_COMES (5 * SIP_SECOND)

static nebulet_handle keyboard = NEBULET_NO_HANDLE, screen = NEBULET_NO_HANDLE;
static struct line line;
static struct job *front;  // what is typed is for this one; NULL: for the shell
static bool leave, in_row; // in_row: what was shown last has not ended its row

// --- The screen

static void connect_screen(uint64_t until)
{
    nebulet_handle ends[2];
    int64_t channel = nebulet_service_connect("screen", 6, until);
    if (channel < 0)
        return;
    if (sip_stream(ends) >= 0) {
        if (sip_send_handle((nebulet_handle)channel, "", 0, ends[1]) >= 0) {
            screen = ends[0];
        } else {
            sip_close(ends[0]);
            sip_close(ends[1]);
        }
    }
    sip_close((nebulet_handle)channel);
}

static void lose_screen(void)
{
    sip_close(screen);
    screen = NEBULET_NO_HANDLE;
}

void show(const char *text, size_t size)
{
    in_row = size ? text[size - 1] != '\n' : in_row;
    if (screen != NEBULET_NO_HANDLE && sip_write(screen, text, size) < 0)
        lose_screen();
}

void show_fresh(void)
{
    if (in_row)
        show("\n", 1);
}

void say(const char *format, ...)
{
    char text[700];
    va_list list;
    va_start(list, format);
    size_t n = sip_format_list(text, sizeof text, format, list);
    va_end(list);
    show(text, n < sizeof text ? n : sizeof text - 1);
}

// --- The keyboard

static void prompt(void)
{
    line_begin(&line, front ? NULL : PROMPT);
}

static void entered(void)
{
    if (!front) {
        front = command(line.text, &leave);
        prompt();
        return;
    }
    line.text[line.size] = '\n';
    job_input(front, line.text, line.size + 1);
    line_begin(&line, NULL);
}

static void key(const struct key_event *e)
{
    if (!e->down || !e->size || e->size > KEY_TEXT)
        return;
    switch (line_key(&line, e->text, e->size)) {
    case LINE_ENTERED: entered(); break;
    case LINE_INTERRUPTED:
        if (front)
            nebulet_process_kill(front->process);
        prompt();
        break;
    case LINE_ENDED:
        if (front)
            job_end_input(front);
        break;
    case LINE_GOES_ON: break;
    }
}

static void keys(void)
{
    struct key_event e;
    int64_t n = nebulet_channel_recv(keyboard, &e, sizeof e, NULL, 0, NULL, NEBULET_AT_ONCE);
    if (n == sizeof e)
        key(&e);
    if (n >= 0 || n == NEBULET_ERR_SHOULD_WAIT)
        return;
    sip_close(keyboard);
    keyboard = NEBULET_NO_HANDLE;
}

static void connect_keyboard(void)
{
    int64_t channel = nebulet_service_connect("keyboard", 8, NEBULET_AT_ONCE);
    if (channel >= 0)
        keyboard = (nebulet_handle)channel;
}

// --- Programs

// Whatever it has left the terminal in, the middle of a sequence included: colours, a cursor, rows
// that go on in the next one, all of them scrolling; the cursor stays where it is.
#define USUAL "\33[0m\33[?25;7h\0337\33[r\0338"

// What is being typed is shown once more behind what has come in between.
static void look_at_job(struct job *j, bool has_ended)
{
    bool typing = !front && j->background;
    if (typing)
        show("\r\33[K", 4), in_row = false;
    bool goes_on = job_look(j, has_ended);
    bool ended = !goes_on && front == j;
    if (!typing && !ended)
        return;
    show_fresh();
    if (ended) {
        front = NULL;
        show(USUAL, sizeof USUAL - 1);
        prompt();
    } else {
        line_show(&line);
    }
}

static bool happened(const struct nebulet_wait *item)
{
    return item->observed & item->signals;
}

// What was on the screen went with its driver.
static void find_screen(void)
{
    if (screen != NEBULET_NO_HANDLE)
        lose_screen();
    connect_screen(NEBULET_AT_ONCE);
    if (front)
        show("\n", 1);
    else
        line_show(&line);
}

static void turn(void)
{
    struct nebulet_wait items[2 + 2 * JOBS];
    struct job *whose[2 + 2 * JOBS];
    uint32_t n = 0;
    bool complete = screen != NEBULET_NO_HANDLE && keyboard != NEBULET_NO_HANDLE;
    if (screen != NEBULET_NO_HANDLE)
        items[n++] = (struct nebulet_wait){screen, NEBULET_PEER_CLOSED, 0};
    uint32_t keys_at = n;
    if (keyboard != NEBULET_NO_HANDLE)
        items[n++] = (struct nebulet_wait){keyboard, NEBULET_READABLE | NEBULET_PEER_CLOSED, 0};
    uint32_t first = n;
    for (struct job *j = jobs; j < jobs + JOBS; j++) {
        if (!job_is(j))
            continue;
        whose[n] = j;
        items[n++] = (struct nebulet_wait){j->process, NEBULET_ENDED, 0};
        whose[n] = j;
        if (j->out != NEBULET_NO_HANDLE)
            items[n++] = (struct nebulet_wait){j->out, NEBULET_READABLE | NEBULET_PEER_CLOSED, 0};
    }
    int64_t result =
        nebulet_object_wait_many(items, n, complete ? NEBULET_FOREVER : sip_after(RETRY));
    if (result != NEBULET_ERR_TIMED_OUT)
        sip_must(result, "shell: waiting");
    if (keys_at == 0 || happened(&items[0]))
        find_screen();
    if (keys_at == first)
        connect_keyboard();
    else if (happened(&items[keys_at]))
        keys();
    for (uint32_t i = first; i < n; i++) {
        bool two = i + 1 < n && whose[i + 1] == whose[i];
        bool ended = happened(&items[i]);
        if ((ended || (two && happened(&items[i + 1]))) && job_is(whose[i]))
            look_at_job(whose[i], ended);
        i += two;
    }
}

int main(void)
{
    jobs_init();
    line.show = show;
    connect_screen(sip_after(SCREEN_COMES));
    say("Type help to see what there is.\n");
    connect_keyboard();
    if (keyboard == NEBULET_NO_HANDLE)
        say("(waiting for the keyboard)\n");
    prompt();
    while (!leave)
        turn();
    jobs_end();
    return 0;
}
