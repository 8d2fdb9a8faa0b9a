// SPDX-License-Identifier: MIT
// A service that ends while others connect: many wait in its queue, which is taken apart a little
// at a time, and who comes meanwhile finds no service.
#include "nebulet.h"

enum { LIVES = 20, MOST = 1000, CALLERS = 2 };

#define NAME "test/full"

// Until the word comes; how many times there was a service, and how many times none.
static int connects(void)
{
    u32 found = 0, none = 0;
    while (recv_word(0, NOW) == ERR_SHOULD_WAIT) {
        s64 c = nb_service_connect(NAME, sizeof NAME - 1, NOW);
        TRUE(c >= 0 || c == ERR_NOT_FOUND || c == ERR_NO_RESOURCES);
        found += c != ERR_NOT_FOUND;
        none += c == ERR_NOT_FOUND;
        if (c >= 0)
            EXPECT(nb_handle_close((u32)c), 0);
    }
    return found && none ? 0 : 1;
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1)
        return connects();
    u32 words[CALLERS], callers[CALLERS], queued = 0;
    for (u32 i = 0; i < CALLERS; i++) {
        u32 end;
        pair(&words[i], &end);
        callers[i] = child("connects", end, NULL);
    }
    for (u32 life = 0; life < LIVES; life++) {
        u32 s = GOOD(nb_service_create(NAME, sizeof NAME - 1));
        for (u32 i = 0; i < MOST; i++) {
            s64 c = nb_service_connect(NAME, sizeof NAME - 1, NOW);
            if (c < 0)
                break;
            EXPECT(nb_handle_close((u32)c), 0);
            queued++;
        }
        sleep_ms(1 + life % 7); // callers on one CPU have their turns at other times in each life
        EXPECT(nb_handle_close(s), 0);
        sleep_ms(1 + life % 5);
    }
    TRUE(queued >= LIVES);
    for (u32 i = 0; i < CALLERS; i++) {
        EXPECT(send_word(words[i], 1), 0);
        ENDED(callers[i], NEBULET_EXITED, 0);
    }
    puts("services");
    return 0;
}
