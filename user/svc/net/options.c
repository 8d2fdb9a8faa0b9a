// SPDX-License-Identifier: MIT
// What any service "net" is told: rules, and whom to ask for names.
#include "net.h"

#include <sip_net.h>

#include <stdlib.h>
#include <string.h>

// An address, and perhaps a port behind it; then one of IPv6 is in brackets.
static bool add_server(const char *given)
{
    char text[64];
    struct nebulet_address a;
    size_t n = strlen(given);
    if (n >= sizeof text)
        return false;
    memcpy(text, given, n + 1);
    if (sip_net_parse(text, &a))
        return names_server(&a);
    char *colon = strrchr(text, ':');
    if (!colon || colon == text)
        return false;
    *colon = 0;
    bool bracket = *text == '[' && colon[-1] == ']';
    if (bracket)
        colon[-1] = 0;
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (!sip_net_parse(text + bracket, &a) || colon[1] < '0' || colon[1] > '9' || *end || !port ||
        port > UINT16_MAX)
        return false;
    a.port = (uint32_t)port;
    return names_server(&a);
}

bool net_option(const char *option, const char *value)
{
    if (!strcmp(option, "--allow-net"))
        return rules_add(value);
    return !strcmp(option, "--dns") && add_server(value);
}
