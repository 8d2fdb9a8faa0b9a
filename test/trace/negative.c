// SPDX-License-Identifier: MIT
// A null pointer with a negative index.
struct list {
    struct list *next;
    int at[4];
};

__attribute__((noinline)) static int before(const struct list *l, int i)
{
    return l->at[i]; // HERE
}

int main(int argc, char **argv)
{
    (void)argv;
    return before((struct list *)0, -argc * 100);
}
