// SPDX-License-Identifier: MIT
// --listen PORT: in the place of all rules, for who only listens, at any of its addresses.
#include "net.h"

#include <stdlib.h>
#include <string.h>

enum { PORTS = 16 };
static uint32_t ports[PORTS], count;

bool net_option(const char *option, const char *value)
{
    int port = atoi(value);
    if (strcmp(option, "--listen") || count == PORTS || port <= 0 || port > UINT16_MAX)
        return false;
    ports[count++] = (uint32_t)port;
    return true;
}

int32_t rules_listen(uint32_t kind, struct nebulet_address *a)
{
    uint32_t i = 0;
    while (i < count && ports[i] != a->port)
        i++;
    return i == count || kind != RULE_TCP || a->family != 4 ? NEBULET_ERR_ACCESS_DENIED : 0;
}
