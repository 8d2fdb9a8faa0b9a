// SPDX-License-Identifier: MIT
// The battery clock (MC146818), read once: the seconds since 1970 when it said so.
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

enum { SECONDS = 0, MINUTES = 2, HOURS = 4, DAY = 7, MONTH, YEAR, STATUS_A, STATUS_B };

struct date {
    u8 second, minute, hour, day, month, year;
};

static u8 read_cmos(u8 index)
{
    out8(0x70, index);
    return in8(0x71);
}

static struct date read_date(void)
{
    return (struct date){read_cmos(SECONDS), read_cmos(MINUTES), read_cmos(HOURS),
                         read_cmos(DAY),     read_cmos(MONTH),   read_cmos(YEAR)};
}

static u32 number(u8 v, bool binary)
{
    return binary ? v : (v >> 4) * 10u + (v & 15);
}

// Days since 1970-01-01 of a date in the Gregorian calendar.
static u64 days(u32 year, u32 month, u32 day)
{
    year -= month <= 2;
    u32 of_year = (153 * (month + (month > 2 ? -3u : 9u)) + 2) / 5 + day - 1;
    return year * 365ull + year / 4 - year / 100 + year / 400 + of_year - 719468;
}

// Read until two readings agree: the clock may be about to change. One that is broken never does.
u64 rtc_read(void)
{
    enum { READINGS = 100 };
    struct date a, b = read_date();
    u32 n = 1;
    do {
        a = b;
        b = read_date();
    } while (memcmp(&a, &b, sizeof a) && ++n < READINGS);
    u8 mode = read_cmos(STATUS_B);
    bool binary = mode & 4, pm = !(mode & 2) && a.hour & 0x80;
    u32 hour = number(a.hour & 0x7f, binary);
    if (!(mode & 2))
        hour = hour % 12 + (pm ? 12 : 0);
    u64 day = days(2000 + number(a.year, binary), number(a.month, binary), number(a.day, binary));
    u64 minute = (day * 24 + hour) * 60 + number(a.minute, binary);
    return (minute * 60 + number(a.second, binary)) * 1000000000ull;
}
