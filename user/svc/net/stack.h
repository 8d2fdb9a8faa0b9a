// SPDX-License-Identifier: MIT
// What the parts of net that know lwIP have together.
#pragma once
#include <lwip/ip_addr.h>
#include <lwip/netif.h>

#include "../../drv/ether.h"
#include "net.h"

extern struct netif net_link;

// The link to the driver, which may come and go.
void link_begin(void);
// Takes the frames that came. True: there were some.
bool link_look(void);
// Before the loop waits: the driver learns what was put. False: there is something to take already.
bool link_rest(void);

void connections_begin(void);
bool stack_address(const struct nebulet_address *a, ip_addr_t *out); // false: it has no such
void stack_peer(const ip_addr_t *ip, u16_t port, struct nebulet_address *out);
