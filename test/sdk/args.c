// SPDX-License-Identifier: MIT
// A program's arguments. The first is its name, which depends on how it was started.
#include <sip.h>

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        sip_printf("%d: <%s>\n", i, argv[i]);
    return argv[argc] != NULL;
}
