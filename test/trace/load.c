// SPDX-License-Identifier: MIT
// Behind the end of the memory, some calls down.
static volatile int sum;
static int *volatile behind = (int *)(1u << 30);

__attribute__((noinline)) static int at(const int *p, unsigned i)
{
    return p[i]; // HERE
}

__attribute__((noinline)) static int walk(const int *p, unsigned n)
{
    int all = 0;
    for (unsigned i = 0; i < n; i++)
        all += at(p, i << 20);
    return all;
}

int main(int argc, char **argv)
{
    (void)argv;
    sum = walk(behind, 10u * (unsigned)argc);
    return sum;
}
