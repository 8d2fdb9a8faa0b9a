// SPDX-License-Identifier: MIT
// What prompt.c and a crowd, the child that it ends, say to each other.
#pragma once
#include <stdint.h>

enum crowd_kind { CROWD_FEW_RUN, CROWD_WAITS, CROWD_RUNS, CROWD_KINDS };
enum crowd_end { CROWD_KILL, CROWD_CPU, CROWD_WALL, CROWD_WATCHDOG, CROWD_RETURN, CROWD_ENDS };

struct crowd_order {
    uint32_t threads, kind, end;
    uint64_t watchdog; // ns
};
