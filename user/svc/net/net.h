// SPDX-License-Identifier: MIT
// The service "net": lwIP between a network device and streams, in parts:
//
//   main.c    what it is told, the loop, lwIP's clock
//   link.c    frames: the client of the service "ethernet"
//   listen.c  listeners, and connections as streams
//
// One thread does everything: lwIP knows no others. It waits for the objects of all that it has,
// each of which is a struct watch.
#pragma once
#include <sip.h>

#include "../../drv/ether.h"
#include "contract.h"

// Something to wait for. Whoever has it changes `signals` with watch_for, 0: for nothing.
struct watch {
    void (*ready)(struct watch *w, uint32_t signals); // may end itself and others
    uint32_t place;                                   // in the list; 0: it is in none
};
void watch_for(struct watch *w, nebulet_handle handle, uint32_t signals);
void watch_end(struct watch *w);

// The link to the driver, which may come and go.
void link_begin(void);
// Takes the frames that came. True: there were some.
bool link_look(void);
// Before the loop waits: the driver learns what was put. False: there is something to take already.
bool link_rest(void);

// Ports that may be listened at are those of the command line.
void listen_allow(uint32_t port);
void listen_begin(void);
void listen_look(void); // before each wait: who waits for that everything is out
