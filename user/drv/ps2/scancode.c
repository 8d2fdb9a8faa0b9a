// SPDX-License-Identifier: MIT
// See scancode.h. One table has both sets and the layout, and is looked through for each byte: it
// is short, and people type slowly.
#include "scancode.h"

#include <string.h>

enum { EXTENDED = 0xe000, BREAK_1 = 0x80 };
enum { RELEASE = 0xf0, PREFIX = 0xe0, PAUSE = 0xe1, TEST_PASSED = 0xaa, OVERRUN = 0xff };
enum { PAUSE_KEY = 0x48 };
enum { CAPS_KEY = 0x39, NUM_KEY = 0x53, MODIFIERS = 0xe0, DOT = 0x63 };

// A key, what it sends in set 1 and 2 (0xe0 first: EXTENDED), its text alone and with shift.
static const struct key {
    uint8_t key;
    uint16_t set_1, set_2;
    char plain, shifted;
} keys[] = {
    {0x04, 0x1e, 0x1c, 'a', 'A'},       {0x05, 0x30, 0x32, 'b', 'B'},
    {0x06, 0x2e, 0x21, 'c', 'C'},       {0x07, 0x20, 0x23, 'd', 'D'},
    {0x08, 0x12, 0x24, 'e', 'E'},       {0x09, 0x21, 0x2b, 'f', 'F'},
    {0x0a, 0x22, 0x34, 'g', 'G'},       {0x0b, 0x23, 0x33, 'h', 'H'},
    {0x0c, 0x17, 0x43, 'i', 'I'},       {0x0d, 0x24, 0x3b, 'j', 'J'},
    {0x0e, 0x25, 0x42, 'k', 'K'},       {0x0f, 0x26, 0x4b, 'l', 'L'},
    {0x10, 0x32, 0x3a, 'm', 'M'},       {0x11, 0x31, 0x31, 'n', 'N'},
    {0x12, 0x18, 0x44, 'o', 'O'},       {0x13, 0x19, 0x4d, 'p', 'P'},
    {0x14, 0x10, 0x15, 'q', 'Q'},       {0x15, 0x13, 0x2d, 'r', 'R'},
    {0x16, 0x1f, 0x1b, 's', 'S'},       {0x17, 0x14, 0x2c, 't', 'T'},
    {0x18, 0x16, 0x3c, 'u', 'U'},       {0x19, 0x2f, 0x2a, 'v', 'V'},
    {0x1a, 0x11, 0x1d, 'w', 'W'},       {0x1b, 0x2d, 0x22, 'x', 'X'},
    {0x1c, 0x15, 0x35, 'y', 'Y'},       {0x1d, 0x2c, 0x1a, 'z', 'Z'},
    {0x1e, 0x02, 0x16, '1', '!'},       {0x1f, 0x03, 0x1e, '2', '@'},
    {0x20, 0x04, 0x26, '3', '#'},       {0x21, 0x05, 0x25, '4', '$'},
    {0x22, 0x06, 0x2e, '5', '%'},       {0x23, 0x07, 0x36, '6', '^'},
    {0x24, 0x08, 0x3d, '7', '&'},       {0x25, 0x09, 0x3e, '8', '*'},
    {0x26, 0x0a, 0x46, '9', '('},       {0x27, 0x0b, 0x45, '0', ')'},
    {0x28, 0x1c, 0x5a, '\r', '\r'},     {0x29, 0x01, 0x76, '\33', '\33'},
    {0x2a, 0x0e, 0x66, '\177', '\177'}, {0x2b, 0x0f, 0x0d, '\t', '\t'},
    {0x2c, 0x39, 0x29, ' ', ' '},       {0x2d, 0x0c, 0x4e, '-', '_'},
    {0x2e, 0x0d, 0x55, '=', '+'},       {0x2f, 0x1a, 0x54, '[', '{'},
    {0x30, 0x1b, 0x5b, ']', '}'},       {0x31, 0x2b, 0x5d, '\\', '|'},
    {0x33, 0x27, 0x4c, ';', ':'},       {0x34, 0x28, 0x52, '\'', '"'},
    {0x35, 0x29, 0x0e, '`', '~'},       {0x36, 0x33, 0x41, ',', '<'},
    {0x37, 0x34, 0x49, '.', '>'},       {0x38, 0x35, 0x4a, '/', '?'},
    {0x39, 0x3a, 0x58, 0, 0},           {0x3a, 0x3b, 0x05, 0, 0},
    {0x3b, 0x3c, 0x06, 0, 0},           {0x3c, 0x3d, 0x04, 0, 0},
    {0x3d, 0x3e, 0x0c, 0, 0},           {0x3e, 0x3f, 0x03, 0, 0},
    {0x3f, 0x40, 0x0b, 0, 0},           {0x40, 0x41, 0x83, 0, 0},
    {0x41, 0x42, 0x0a, 0, 0},           {0x42, 0x43, 0x01, 0, 0},
    {0x43, 0x44, 0x09, 0, 0},           {0x44, 0x57, 0x78, 0, 0},
    {0x45, 0x58, 0x07, 0, 0},           {0x46, 0xe037, 0xe07c, 0, 0},
    {0x47, 0x46, 0x7e, 0, 0},           {0x49, 0xe052, 0xe070, 0, 0},
    {0x4a, 0xe047, 0xe06c, 0, 0},       {0x4b, 0xe049, 0xe07d, 0, 0},
    {0x4c, 0xe053, 0xe071, 0, 0},       {0x4d, 0xe04f, 0xe069, 0, 0},
    {0x4e, 0xe051, 0xe07a, 0, 0},       {0x4f, 0xe04d, 0xe074, 0, 0},
    {0x50, 0xe04b, 0xe06b, 0, 0},       {0x51, 0xe050, 0xe072, 0, 0},
    {0x52, 0xe048, 0xe075, 0, 0},       {0x53, 0x45, 0x77, 0, 0},
    {0x54, 0xe035, 0xe04a, '/', '/'},   {0x55, 0x37, 0x7c, '*', '*'},
    {0x56, 0x4a, 0x7b, '-', '-'},       {0x57, 0x4e, 0x79, '+', '+'},
    {0x58, 0xe01c, 0xe05a, '\r', '\r'}, {0x59, 0x4f, 0x69, '1', '1'},
    {0x5a, 0x50, 0x72, '2', '2'},       {0x5b, 0x51, 0x7a, '3', '3'},
    {0x5c, 0x4b, 0x6b, '4', '4'},       {0x5d, 0x4c, 0x73, '5', '5'},
    {0x5e, 0x4d, 0x74, '6', '6'},       {0x5f, 0x47, 0x6c, '7', '7'},
    {0x60, 0x48, 0x75, '8', '8'},       {0x61, 0x49, 0x7d, '9', '9'},
    {0x62, 0x52, 0x70, '0', '0'},       {0x63, 0x53, 0x71, '.', '.'},
    {0x64, 0x56, 0x61, '\\', '|'},      {0x65, 0xe05d, 0xe02f, 0, 0},
    {0xe0, 0x1d, 0x14, 0, 0},           {0xe1, 0x2a, 0x12, 0, 0},
    {0xe2, 0x38, 0x11, 0, 0},           {0xe3, 0xe05b, 0xe01f, 0, 0},
    {0xe4, 0xe01d, 0xe014, 0, 0},       {0xe5, 0x36, 0x59, 0, 0},
    {0xe6, 0xe038, 0xe011, 0, 0},       {0xe7, 0xe05c, 0xe027, 0, 0},
};

// Keys without a character, and those of the keypad without Num Lock.
static const struct {
    uint8_t key;
    char text[6];
} sequences[] = {
    {0x3a, "\33[[A"},  {0x3b, "\33[[B"},  {0x3c, "\33[[C"},  {0x3d, "\33[[D"},  {0x3e, "\33[[E"},
    {0x3f, "\33[17~"}, {0x40, "\33[18~"}, {0x41, "\33[19~"}, {0x42, "\33[20~"}, {0x43, "\33[21~"},
    {0x44, "\33[23~"}, {0x45, "\33[24~"}, {0x49, "\33[2~"},  {0x4a, "\33[1~"},  {0x4b, "\33[5~"},
    {0x4c, "\33[3~"},  {0x4d, "\33[4~"},  {0x4e, "\33[6~"},  {0x4f, "\33[C"},   {0x50, "\33[D"},
    {0x51, "\33[B"},   {0x52, "\33[A"},   {0x59, "\33[4~"},  {0x5a, "\33[B"},   {0x5b, "\33[6~"},
    {0x5c, "\33[D"},   {0x5d, ""},        {0x5e, "\33[C"},   {0x5f, "\33[1~"},  {0x60, "\33[A"},
    {0x61, "\33[5~"},  {0x62, "\33[2~"},  {0x63, "\33[3~"},
};

static const struct key *find(uint32_t set, uint32_t code)
{
    for (uint32_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if ((set == 1 ? keys[i].set_1 : keys[i].set_2) == code)
            return &keys[i];
    return NULL;
}

static bool is_on_keypad(const struct key *k)
{
    return k->key >= 0x59 && k->key <= DOT;
}

// --- Text

static char with_modifiers(const struct key *k, uint32_t modifiers)
{
    bool letter = k->plain >= 'a' && k->plain <= 'z', shift = modifiers & KEY_SHIFT;
    if (letter && modifiers & KEY_CAPS)
        shift = !shift;
    char c = shift ? k->shifted : k->plain;
    if (!(modifiers & KEY_CONTROL))
        return c;
    if (letter || (c >= '@' && c <= '_'))
        return c & 0x1f; // 0 is one, too: Ctrl-@
    return c == ' ' || c == '2' ? 0 : c == '/' ? 0x1f : c == '?' ? 0x7f : c;
}

// Alt is an escape before it.
static void set_text(const struct key *k, struct key_event *out)
{
    const char *text = NULL;
    bool digits = !!(out->modifiers & KEY_NUM) != !!(out->modifiers & KEY_SHIFT);
    if (!k->plain || (is_on_keypad(k) && !digits))
        for (uint32_t i = 0; i < sizeof sequences / sizeof *sequences; i++)
            if (sequences[i].key == k->key)
                text = sequences[i].text;
    if (out->modifiers & KEY_ALT && (text ? *text : k->plain))
        out->text[out->size++] = '\33';
    if (!text && k->plain)
        out->text[out->size++] = with_modifiers(k, out->modifiers & (is_on_keypad(k) ? 0 : 15));
    for (uint32_t i = 0; text && i < sizeof sequences->text && text[i]; i++)
        out->text[out->size++] = text[i];
}

// --- Keys

static void modifier(struct scancodes *s, uint32_t key, bool down)
{
    static const uint8_t what[] = {KEY_CONTROL, KEY_SHIFT, KEY_ALT, 0};
    uint8_t *held = key & 4 ? &s->held_right : &s->held;
    *held = (uint8_t)(down ? *held | what[key & 3] : *held & ~what[key & 3]);
}

static bool happens(struct scancodes *s, const struct key *k, bool down, struct key_event *out)
{
    uint32_t *word = &s->down[k->key / 32], bit = 1u << k->key % 32;
    bool was_down = *word & bit;
    if (!down && !was_down)
        return false; // it came before there was anybody to see it
    *word = down ? *word | bit : *word & ~bit;
    if (k->key >= MODIFIERS)
        modifier(s, k->key, down);
    if (k->key == CAPS_KEY && down && !was_down)
        s->caps = !s->caps;
    if (k->key == NUM_KEY && down && !was_down)
        s->num = !s->num;
    *out = (struct key_event){.key = k->key, .down = down};
    out->modifiers =
        (uint8_t)(s->held | s->held_right | (s->caps ? KEY_CAPS : 0) | (s->num ? KEY_NUM : 0));
    if (down)
        set_text(k, out);
    return true;
}

void scancode_reset(struct scancodes *s)
{
    *s = (struct scancodes){.set = s->set, .caps = s->caps, .num = s->num};
}

// All of Pause comes at once, when it goes down; nothing does when it goes up. False: the byte is
// of something else.
static bool is_of_pause(struct scancodes *s, uint8_t byte)
{
    static const uint8_t pause[2][8] = {{PAUSE, 0x1d, 0x45, PAUSE, 0x9d, 0xc5},
                                        {PAUSE, 0x14, 0x77, PAUSE, 0xf0, 0x14, 0xf0, 0x77}};
    bool fits = byte == pause[s->set - 1][s->pause];
    s->pause = fits ? s->pause + 1 : 0;
    return fits;
}

bool scancode_take(struct scancodes *s, uint8_t byte, struct key_event *out)
{
    enum { PAUSE_1 = 6, PAUSE_2 = 8 };
    if ((s->pause || byte == PAUSE) && is_of_pause(s, byte)) {
        s->extended = s->release = 0;
        if (s->pause != (s->set == 1 ? PAUSE_1 : PAUSE_2))
            return false;
        s->pause = 0;
        *out = (struct key_event){.key = PAUSE_KEY, .down = 1};
        return true;
    }
    if (byte == 0 || byte == OVERRUN || (s->set == 2 && byte == TEST_PASSED)) {
        scancode_reset(s);
        return false;
    }
    if (byte == PREFIX) {
        s->extended = 1;
        return false;
    }
    if (s->set == 2 && byte == RELEASE) {
        s->release = 1;
        return false;
    }
    bool down = s->set == 1 ? !(byte & BREAK_1) : !s->release;
    uint32_t code = (s->set == 1 ? byte & 0x7f : byte) | (s->extended ? EXTENDED : 0);
    s->extended = s->release = 0;
    const struct key *k = find(s->set, code);
    return k && happens(s, k, down, out);
}
