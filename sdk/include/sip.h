// SPDX-License-Identifier: MIT
// libsip: Nebulet for programs in C. A program is a software isolated process, hence the name.
//
// It is a thin layer over the calls in nebulet/calls.h, for what most programs do in most places:
// wait as long as it takes, send whole values, start and join. Where a deadline is wanted, or a
// right less, the call itself is the right thing; both mix freely.
//
// Results are those of the calls: an int64_t that is negative (enum nebulet_error) when something
// went wrong. sip_must() ends the program then, with a message; sip_error_text() says what it was.
//
// With wasi-libc and without: sdk/README.md says how to compile and link. Threads take turns, but a
// turn may end in any loop: what two threads use needs a mutex. malloc() and everything here can be
// called by any thread at any time; stdio of wasi-libc cannot.
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <nebulet/calls.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SIP_PRINTF(text, first) __attribute__((format(printf, text, first)))

// --- Text

// "peer closed" for NEBULET_ERR_PEER_CLOSED; "no error" for what is not negative.
const char *sip_error_text(int64_t result);
const char *sip_trap_text(uint32_t trap);

// printf without floating point: %d %i %u %x %X %c %s %p %%, with flags - 0 +, width, precision,
// and h l ll z j t. Up to room bytes, the last of them 0; returns how many it takes without the 0.
size_t sip_format(char *out, size_t room, const char *format, ...) SIP_PRINTF(3, 4);
size_t sip_format_list(char *out, size_t room, const char *format, va_list list);

// To the console. A text of up to 500 bytes is printed in one piece.
void sip_printf(const char *format, ...) SIP_PRINTF(1, 2);

// Prints the text and ends the program with exit code 1.
__attribute__((noreturn)) void sip_panic(const char *format, ...) SIP_PRINTF(1, 2);
// Ends the program: "WHAT: peer closed".
__attribute__((noreturn)) void sip_fail(int64_t result, const char *what);
// The result, when it is not negative. Otherwise sip_fail.
static inline int64_t sip_must(int64_t result, const char *what)
{
    if (result < 0)
        sip_fail(result, what);
    return result;
}

// --- Time: ns of the monotonic clock

#define SIP_US UINT64_C(1000)
#define SIP_MS UINT64_C(1000000)
#define SIP_SECOND UINT64_C(1000000000)

uint64_t sip_now(void);
uint64_t sip_after(uint64_t ns); // the deadline that far from now; NEBULET_FOREVER when beyond
void sip_sleep(uint64_t ns);
// A timer that is signaled after first ns, and then every period ns (0: once). sip_tick waits for
// it and takes the signal back.
int64_t sip_timer(uint64_t first, uint64_t period);
int64_t sip_tick(nebulet_handle timer, uint64_t deadline);

// --- Objects

// Waits as long as it takes for any of the signals. Result: all signals.
int64_t sip_wait(nebulet_handle object, uint32_t signals);
int64_t sip_signal(nebulet_handle event); // NEBULET_EVENT_SIGNALED
void sip_close(nebulet_handle handle);
void sip_random(void *bytes, size_t size); // of a cryptographic generator, or ends the program

// --- Channels

int64_t sip_channel(nebulet_handle ends[2]);
int64_t sip_send(nebulet_handle channel, const void *bytes, size_t size);
int64_t sip_send_handle(nebulet_handle channel, const void *bytes, size_t size,
                        nebulet_handle given);
// Result: the bytes of the message. A handle that comes with it is closed.
int64_t sip_recv(nebulet_handle channel, void *bytes, size_t room);
// *handle: the one that came with it, or NEBULET_NO_HANDLE.
int64_t sip_recv_handle(nebulet_handle channel, void *bytes, size_t room, nebulet_handle *handle);
// Sends a request and receives the answer, which has no handles. One thread at a time may call on a
// channel.
int64_t sip_call(nebulet_handle channel, const void *request, size_t size, void *answer,
                 size_t room);

// The same for a message of exactly the type of *value: INVALID_ARG when one of another size came.
#define sip_send_value(channel, value) sip_send(channel, value, sizeof *(value))
#define sip_recv_value(channel, value)                                                             \
    sip_exactly(sip_recv(channel, value, sizeof *(value)), sizeof *(value))
#define sip_call_value(channel, request, answer)                                                   \
    sip_exactly(sip_call(channel, request, sizeof *(request), answer, sizeof *(answer)),           \
                sizeof *(answer))
int64_t sip_exactly(int64_t result, size_t size);

// --- Streams

int64_t sip_stream(nebulet_handle ends[2]); // ends[0] is written, ends[1] is read
int64_t sip_write(nebulet_handle stream, const void *bytes, size_t size); // all of them
int64_t sip_read(nebulet_handle stream, void *bytes, size_t room);        // 0: the end

// --- Threads

struct sip_thread {
    nebulet_handle handle;
    void *stack;
};
// Calls function(arg) on a new thread, with a stack of that size for C (0: 64 KiB). To be joined,
// which frees the stack; *value is what the function returned, NULL: never mind.
int64_t sip_thread_start(struct sip_thread *thread, int32_t (*function)(void *), void *arg,
                         size_t stack_size);
int64_t sip_thread_join(struct sip_thread *thread, int32_t *value);

// A zeroed one is free.
struct sip_mutex {
    uint32_t word;
};
void sip_lock(struct sip_mutex *mutex);
void sip_unlock(struct sip_mutex *mutex);

// A zeroed one has not been done. All who come wait until it is.
struct sip_once {
    struct sip_mutex mutex;
    uint32_t done;
};
void sip_once(struct sip_once *once, void (*function)(void));

// --- Processes

// A module. When it is refused, message (of room bytes, may be NULL) says why.
int64_t sip_compile(const void *bytes, size_t size, char *message, size_t room);
// Creates a process and starts it. args: its arguments, its name first, then NULL. options: NULL
// for none. channel: given away, becomes its handle 0; or NEBULET_NO_HANDLE. Result: the process.
int64_t sip_start(nebulet_handle module, const char *const *args,
                  const struct nebulet_options *options, nebulet_handle channel);
// The same two steps one by one: a process that does not run yet, which may be given folders, and
// then nebulet_process_start. A folder is what the other end of the channel, which is given away,
// serves as 9P2000.L; the process sees it under that name.
int64_t sip_create(nebulet_handle module, const char *const *args,
                   const struct nebulet_options *options, nebulet_handle channel);
int64_t sip_folder(nebulet_handle process, nebulet_handle channel, const char *name);
// The same of a channel to a service, which is connected to anew when who serves is gone.
int64_t sip_folder_of(nebulet_handle process, nebulet_handle channel, const char *name,
                      const char *service);
// Its standard stream 0, 1 or 2 is that end of a stream, which is given away; its environment are
// these variables, "NAME=value", then NULL.
int64_t sip_stdio(nebulet_handle process, uint32_t number, nebulet_handle stream);
int64_t sip_environment(nebulet_handle process, const char *const *variables);
// Waits until it is over, and closes the handle.
int64_t sip_join(nebulet_handle process, struct nebulet_exit *end);
// "exit code 3", "trap: integer divide by zero", "killed", ...; returns what sip_format does.
size_t sip_describe_exit(char *out, size_t room, const struct nebulet_exit *end);

// --- Services

// A service answers requests of clients that connected by its name. Its one thread waits for all of
// them, and for none of them when it answers: a client that does not take its answers, so that its
// channel is full, is cut off.
struct sip_client {
    nebulet_handle channel;
    bool cut_off;
    void *state; // the service's own
};
struct sip_request {
    const uint8_t *bytes;
    uint32_t size;
    uint32_t handle_count;
    nebulet_handle *handles; // those left open are closed; set to NEBULET_NO_HANDLE what is kept
};
enum sip_verdict { SIP_GO_ON, SIP_HANG_UP, SIP_STOP };
struct sip_service {
    void *context;
    enum sip_verdict (*request)(struct sip_service *service, struct sip_client *client,
                                const struct sip_request *request);
    void (*connected)(struct sip_service *service, struct sip_client *client); // or NULL
    void (*gone)(struct sip_service *service, struct sip_client *client);      // or NULL
    // Or NULL. Before each wait; the service then also waits for an object, an event to be signaled
    // or a channel's peer to close (was that so in the last wait?), until then, both of which this
    // may change.
    void (*look)(struct sip_service *service, bool signaled);
    nebulet_handle object;
    uint64_t until;
    void *loop; // sip_serve's own
};
// Offers the name and serves until a handler says SIP_STOP (result 0), or an error.
int64_t sip_serve(const char *name, struct sip_service *service);
// In look only: those who have connected by now are clients, as they else are after the next wait.
// Who hands on what came to all who listen does this after it has read it, and misses nobody.
void sip_take_clients(struct sip_service *service);
// An error is of no interest to most handlers: the client goes when they return.
int64_t sip_answer(struct sip_client *client, const void *bytes, size_t size);
// A channel to the service of that name; waits until there is one.
int64_t sip_connect(const char *name);
// Waits until then at most: NOT_FOUND.
int64_t sip_connect_until(const char *name, uint64_t deadline);

#ifdef __cplusplus
}
#endif
