// SPDX-License-Identifier: MIT
// Services: names of channels. Who connects sends one end of a new channel to whoever offers the
// name. With the kernel lock held, but where it says otherwise.
#pragma once
#include "kern/channel.h"

struct service;

void services_init(void); // once, before anything runs

// Offers `name` (n bytes, 1 to NEBULET_NAME_MAX), and makes the channel from which connections
// come. Without the lock. ALREADY_EXISTS.
status service_new(const u8 *name, u32 n, struct channel **out);
// Waits for the name. Without the lock. NOT_FOUND: at the deadline.
status service_connect(const u8 *name, u32 n, u64 deadline, struct channel **out);
void service_gone(struct service *s); // its channel is closed
