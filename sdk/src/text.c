// SPDX-License-Identifier: MIT
// What numbers of the platform mean, in words. The words are those of the platform's own tables.
#include <sip.h>

const char *sip_error_text(int64_t result)
{
#define ERROR(number, name, text)                                                                  \
    case number: return text;
    switch (result) {
#include <nebulet/errors.def>
    default: return result < 0 ? "unknown error" : "no error";
    }
#undef ERROR
}

const char *sip_trap_text(uint32_t trap)
{
    static const char *const texts[] = {
        "no trap",
#define TRAP(name, text) text,
#include <nebulet/traps.def>
#undef TRAP
    };
    return trap < sizeof texts / sizeof *texts ? texts[trap] : "unknown trap";
}

size_t sip_describe_exit(char *out, size_t room, const struct nebulet_exit *end)
{
    switch ((enum nebulet_end)end->how) {
    case NEBULET_EXITED: return sip_format(out, room, "exit code %u", end->code);
    case NEBULET_TRAPPED: return sip_format(out, room, "trap: %s", sip_trap_text(end->code));
    case NEBULET_KILLED: return sip_format(out, room, "killed");
    case NEBULET_WATCHDOG: return sip_format(out, room, "killed by its watchdog");
    case NEBULET_LIMIT: return sip_format(out, room, "used up its processor time");
    }
    return sip_format(out, room, "ended, nobody knows how (%u)", end->how);
}
