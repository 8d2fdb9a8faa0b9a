// SPDX-License-Identifier: MIT
// What lwIP wants to know of its surroundings.
#pragma once
#include <sip.h>

#define LWIP_PLATFORM_DIAG(x)
#define LWIP_PLATFORM_ASSERT(x) sip_panic("net: lwIP: %s", x)
#define LWIP_RAND() net_random()
#define SYS_ARCH_DECL_PROTECT(x)
#define SYS_ARCH_PROTECT(x)
#define SYS_ARCH_UNPROTECT(x)

unsigned net_random(void);
