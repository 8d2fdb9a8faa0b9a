/* SPDX-License-Identifier: MIT */
/*
 * state: the controller of a lift as a tool would write it down from its charts: a switch for each
 * chart, transitions on flags that the other charts set, all state in global bytes, and a building
 * that rides it. Loads and stores at fixed addresses, tests of small values, many short blocks.
 */
#include "bench.h"

enum { FLOORS = 8, SPEED = 3, OPEN_TIME = 9, DOOR_TIME = 4, IDLE_TIME = 40 };

enum cabin {
    CABIN_IDLE,
    CABIN_START,
    CABIN_UP,
    CABIN_DOWN,
    CABIN_SLOW,
    CABIN_STOPPED,
    CABIN_FAULT
};
enum door { DOOR_CLOSED, DOOR_OPENING, DOOR_OPEN, DOOR_WARN, DOOR_CLOSING, DOOR_BLOCKED };
enum lamp { LAMP_OFF, LAMP_UP, LAMP_DOWN, LAMP_BOTH, LAMP_BLINK };
enum power { POWER_OFF, POWER_TEST, POWER_ON, POWER_SAVE };
enum load { LOAD_EMPTY, LOAD_SOME, LOAD_FULL, LOAD_OVER };

/* States, and the events and conditions by which the charts talk to each other. */
static u8 cabin, door, lamp, power, load;
static u8 cabin_timer, door_timer, lamp_timer, power_timer;
static u8 at_floor, target, going_up, between;
static u8 door_may_open, door_is_closed, motor_on, brake_on, bell, buzzer, light_on, fan_on;
static u8 sensor_beam, key_stop, key_hold, fire, weight, tick_slow;
static u8 call_up[FLOORS], call_down[FLOORS], call_cabin[FLOORS];
static u32 travelled, opened, faults, bells;

static int wanted(u8 from, u8 to)
{
    for (u8 f = from; f < to; f++)
        if (call_up[f] || call_down[f] || call_cabin[f])
            return f + 1;
    return 0;
}

static void power_step(void)
{
    switch ((enum power)power) {
    case POWER_OFF:
        light_on = fan_on = 0;
        if (!key_stop) {
            power = POWER_TEST;
            power_timer = 3;
        }
        break;
    case POWER_TEST:
        light_on = 1;
        if (key_stop)
            power = POWER_OFF;
        else if (power_timer == 0)
            power = POWER_ON;
        else
            power_timer--;
        break;
    case POWER_ON:
        fan_on = load != LOAD_EMPTY;
        if (key_stop && cabin == CABIN_STOPPED)
            power = POWER_OFF;
        else if (cabin == CABIN_IDLE && load == LOAD_EMPTY && door == DOOR_CLOSED) {
            if (++power_timer > IDLE_TIME)
                power = POWER_SAVE;
        } else {
            power_timer = 0;
        }
        break;
    case POWER_SAVE:
        light_on = 0;
        if (wanted(0, FLOORS) || load != LOAD_EMPTY) {
            power = POWER_ON;
            power_timer = 0;
            light_on = 1;
        }
        break;
    }
}

static void load_step(void)
{
    switch ((enum load)load) {
    case LOAD_EMPTY:
        if (weight > 4)
            load = LOAD_SOME;
        break;
    case LOAD_SOME:
        if (weight <= 4)
            load = LOAD_EMPTY;
        else if (weight > 80)
            load = LOAD_FULL;
        break;
    case LOAD_FULL:
        if (weight <= 75)
            load = LOAD_SOME;
        else if (weight > 95)
            load = LOAD_OVER;
        break;
    case LOAD_OVER:
        if (weight <= 92)
            load = LOAD_FULL;
        break;
    }
    buzzer = load == LOAD_OVER && door != DOOR_CLOSED;
}

static void door_step(void)
{
    switch ((enum door)door) {
    case DOOR_CLOSED:
        door_is_closed = 1;
        if (door_may_open && power != POWER_OFF) {
            door = DOOR_OPENING;
            door_timer = DOOR_TIME;
            door_is_closed = 0;
        }
        break;
    case DOOR_OPENING:
        if (--door_timer == 0) {
            door = DOOR_OPEN;
            door_timer = OPEN_TIME;
            opened++;
        }
        break;
    case DOOR_OPEN:
        if (sensor_beam || key_hold || load == LOAD_OVER)
            door_timer = OPEN_TIME / 2;
        else if (--door_timer == 0) {
            door = load == LOAD_FULL ? DOOR_WARN : DOOR_CLOSING;
            door_timer = DOOR_TIME;
        }
        break;
    case DOOR_WARN:
        if (--door_timer == 0) {
            door = DOOR_CLOSING;
            door_timer = DOOR_TIME;
        }
        break;
    case DOOR_CLOSING:
        if (sensor_beam) {
            door = DOOR_BLOCKED;
            door_timer = 2;
        } else if (--door_timer == 0) {
            door = DOOR_CLOSED;
            door_is_closed = 1;
            door_may_open = 0;
        }
        break;
    case DOOR_BLOCKED:
        if (door_timer > 0)
            door_timer--;
        else if (!sensor_beam) {
            door = DOOR_OPENING;
            door_timer = 1;
        }
        break;
    }
}

static void cabin_choose(void)
{
    int above = wanted((u8)(at_floor + 1), FLOORS), below = wanted(0, at_floor);

    if (call_cabin[at_floor] || call_up[at_floor] || call_down[at_floor]) {
        cabin = CABIN_STOPPED;
        return;
    }
    if (going_up ? above : !below && above) {
        going_up = 1;
        target = (u8)(above - 1);
        cabin = CABIN_START;
    } else if (below) {
        going_up = 0;
        target = (u8)(below - 1);
        cabin = CABIN_START;
    }
    cabin_timer = SPEED;
}

static int cabin_stops_here(void)
{
    return call_cabin[at_floor] || at_floor == target ||
           (load < LOAD_FULL && (going_up ? call_up[at_floor] : call_down[at_floor]));
}

static void cabin_step(void)
{
    switch ((enum cabin)cabin) {
    case CABIN_IDLE:
        motor_on = 0;
        brake_on = 1;
        if (power == POWER_ON && door_is_closed)
            cabin_choose();
        break;
    case CABIN_START:
        if (fire)
            cabin = CABIN_FAULT;
        else if (door_is_closed && load != LOAD_OVER) {
            motor_on = 1;
            brake_on = 0;
            cabin = going_up ? CABIN_UP : CABIN_DOWN;
        }
        break;
    case CABIN_UP:
    case CABIN_DOWN:
        if (fire || !door_is_closed)
            cabin = CABIN_FAULT;
        else if (++between == SPEED) {
            between = 0;
            travelled++;
            at_floor = (u8)(cabin == CABIN_UP ? at_floor + 1 : at_floor - 1);
            if (at_floor == 0 || at_floor == FLOORS - 1 || cabin_stops_here())
                cabin = CABIN_SLOW;
        }
        break;
    case CABIN_SLOW:
        motor_on = 0;
        brake_on = 1;
        bell = 1;
        cabin = CABIN_STOPPED;
        break;
    case CABIN_STOPPED:
        if (call_up[at_floor] || call_down[at_floor] || call_cabin[at_floor]) {
            call_up[at_floor] = call_down[at_floor] = call_cabin[at_floor] = 0;
            door_may_open = 1;
        } else if (door == DOOR_CLOSED && !door_may_open) {
            cabin = CABIN_IDLE;
        }
        break;
    case CABIN_FAULT:
        motor_on = 0;
        brake_on = 1;
        faults++;
        if (!fire && door_is_closed)
            cabin = motor_on || between ? (going_up ? CABIN_UP : CABIN_DOWN) : CABIN_IDLE;
        break;
    }
}

static void lamp_step(void)
{
    if (bell) {
        bells++;
        bell = 0;
    }
    switch ((enum lamp)lamp) {
    case LAMP_OFF:
        if (power == POWER_OFF)
            break;
        if (cabin == CABIN_FAULT)
            lamp = LAMP_BLINK;
        else if (cabin != CABIN_IDLE)
            lamp = going_up ? LAMP_UP : LAMP_DOWN;
        break;
    case LAMP_UP:
    case LAMP_DOWN:
        if (cabin == CABIN_FAULT)
            lamp = LAMP_BLINK;
        else if (cabin == CABIN_IDLE)
            lamp = power == POWER_SAVE ? LAMP_OFF : LAMP_BOTH;
        else
            lamp = going_up ? LAMP_UP : LAMP_DOWN;
        break;
    case LAMP_BOTH:
        if (power == POWER_SAVE || power == POWER_OFF)
            lamp = LAMP_OFF;
        else if (cabin != CABIN_IDLE)
            lamp = going_up ? LAMP_UP : LAMP_DOWN;
        break;
    case LAMP_BLINK:
        lamp_timer ^= tick_slow;
        if (cabin != CABIN_FAULT)
            lamp = LAMP_OFF;
        break;
    }
}

/* What people do in this tick. */
static void building(u32 chance)
{
    sensor_beam = door != DOOR_CLOSED && (chance & 15) == 0;
    key_hold = door == DOOR_OPEN && (chance >> 4 & 31) == 0;
    key_stop = (chance >> 9 & 1023) == 0;
    fire = motor_on && (chance >> 19 & 255) == 0;
    tick_slow = (chance >> 27 & 3) == 0;
    if ((chance & 0x38) == 0) {
        u8 f = (u8)(chance >> 13 & (FLOORS - 1));

        if (chance >> 16 & 1 && f < FLOORS - 1)
            call_up[f] = 1;
        else if (f > 0)
            call_down[f] = 1;
    }
    if (door == DOOR_OPEN && (chance >> 20 & 3) == 0) {
        call_cabin[chance >> 22 & (FLOORS - 1)] = 1;
        weight = (u8)(chance >> 25 & 127) > 100 ? 0 : (u8)(chance >> 25 & 127);
    }
}

static u64 bench_body(double scale)
{
    u32 ticks = bench_count(scale, 20000000);
    u64 seed = 29, sum = 0;

    for (u32 t = 0; t < ticks; t++) {
        building(bench_random(&seed));
        power_step();
        load_step();
        door_step();
        cabin_step();
        lamp_step();
        if (t % 1024 == 0)
            sum = bench_mix(sum, (u64)cabin << 32 | (u64)door << 24 | (u64)lamp << 16 |
                                     (u64)power << 8 | at_floor);
    }
    if (travelled == 0 || opened == 0)
        bench_fail("state: the lift stands still");
    sum = bench_mix(sum, travelled);
    sum = bench_mix(sum, opened);
    sum = bench_mix(sum, faults);
    return bench_mix(sum, bells + light_on + fan_on + brake_on + buzzer + lamp_timer + cabin_timer);
}
