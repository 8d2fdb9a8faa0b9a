// SPDX-License-Identifier: MIT
// A function called as if it were of another type.
static int two(int a, int b)
{
    return a + b;
}

static volatile int (*volatile any)(void);

int main(void)
{
    any = (volatile int (*)(void))(void *)two;
    return any(); // HERE
}
