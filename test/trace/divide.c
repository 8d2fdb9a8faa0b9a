// SPDX-License-Identifier: MIT
static volatile int zero;

__attribute__((noinline)) static int divided(int a, int b)
{
    return a / b; // HERE
}

int main(void)
{
    return divided(5, zero);
}
