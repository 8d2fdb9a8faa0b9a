// SPDX-License-Identifier: MIT
// What must hold. An assertion that does not is a bug of ours, never a guest's doing: the machine
// or program says where, with a backtrace, and stops at once, before the bug becomes an escape.
// They are on in every build, so one belongs where it is cheap, and most of all where guests' bytes
// turn into the kernel's state: locks held, states of processes, shapes of queues, counts.
#pragma once
#include "base/types.h"

// From the platform. `where` is "file:line: condition".
__attribute__((noreturn, cold)) void assert_failed(const char *where);

#define ASSERT_TEXT2(line) #line
#define ASSERT_TEXT(line) ASSERT_TEXT2(line)
#define assert(condition)                                                                          \
    do {                                                                                           \
        if (unlikely(!(condition)))                                                                \
            assert_failed(__FILE_NAME__ ":" ASSERT_TEXT(__LINE__) ": " #condition);                \
    } while (0)
