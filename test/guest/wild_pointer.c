// SPDX-License-Identifier: MIT
// A wild pointer: trap in the function that used it, with the callers behind it.
#include <stdint.h>
#include <unistd.h>

__attribute__((noinline)) static int load(const int *pointer)
{
    return *(const volatile int *)pointer;
}

__attribute__((noinline)) static int middle(uintptr_t address)
{
    return load((const int *)address) + 1;
}

int main(int argc, char **argv)
{
    (void)argv;
    write(1, "before\n", 7);
    int value = middle(0xfffffff0u + argc);
    write(1, "after\n", 6);
    return value;
}
