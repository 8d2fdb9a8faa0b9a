// SPDX-License-Identifier: MIT
// What a link of a chain of processes is sent, with three handles: the module of links, that of
// leaves, and a channel for the last link to send this to.
#pragma once

struct link_message {
    uint32_t made, most; // processes, so far and in all
    uint32_t leaves;     // of each link
};
