// SPDX-License-Identifier: MIT
// What lwIP wants to know of its surroundings.
#pragma once
#include <sip.h>

#include "../checksum.h"

#define LWIP_PLATFORM_DIAG(x)
// A trap's trace says where; texts are 7 KB. What is asserted of each connection in turn whenever a
// segment comes, for one of them, would cost the more the more there are.
#define LWIP_PLATFORM_ASSERT(x)                                                                    \
    (__builtin_strncmp(x, "tcp_input: active pcb->state", 28) ? __builtin_trap() : (void)0)
#define LWIP_RAND() net_random()
#define SYS_ARCH_DECL_PROTECT(x)
#define SYS_ARCH_PROTECT(x)
#define SYS_ARCH_UNPROTECT(x)

#define LWIP_CHKSUM net_checksum

// An instruction each, and not a call.
#define lwip_htons(x) ((u16_t)__builtin_bswap16((u16_t)(x)))
#define lwip_htonl(x) ((u32_t)__builtin_bswap32((u32_t)(x)))

unsigned net_random(void);
