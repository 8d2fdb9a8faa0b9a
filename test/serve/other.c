// SPDX-License-Identifier: MIT
// Another handler: says who it is, and by which path it was come to.
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    printf("Content-Type: text/plain\n\nother %s %s\n", getenv("SCRIPT_NAME"), getenv("PATH_INFO"));
    return 0;
}
