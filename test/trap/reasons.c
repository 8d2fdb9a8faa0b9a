// SPDX-License-Identifier: MIT
// Traps as programs have them, by number; behind WHY: what the trace's second line must be.
#include <stdlib.h>
#include <string.h>

typedef long long other_function(double);
typedef int function(int);

int leaf(int n);
volatile int zero;
static void *volatile called;

__attribute__((noinline)) static int deep(int n)
{
    volatile char buffer[1000];
    buffer[n % 1000] = (char)n;
    return deep(n + 1) + buffer[5];
}

__attribute__((noinline)) int leaf(int n)
{
    volatile char buffer[100000];
    buffer[n] = (char)n;
    return buffer[5] + n;
}

__attribute__((noinline)) static int endless(int n)
{
    return endless(n + 1) + endless(n + 2);
}

static int one(int n)
{
    return n + 1;
}

static char *end(void)
{
    return (char *)(__builtin_wasm_memory_size(0) << 16);
}

static int run(int number)
{
    called = (void *)one;
    switch (number) {
        // clang-format off
    case 0: return deep(0); // WHY address 0xffff\w+, \d+ bytes below 0; the memory ends at 0x20000: the C stack ran into its end \(-Wl,-z,stack-size=BYTES makes it larger\)
    case 1: return leaf(3); // WHY address 0xffff\w+, \d+ bytes below 0; the memory ends at 0x20000: the C stack .*
    case 2: return ((int *)(long)zero)[-1]; // WHY address 0xfffffffc, 4 bytes below 0; the memory ends at 0x20000: a null pointer with a negative index
    case 3: return end()[zero]; // WHY address 0x20000; the memory ends at 0x20000: just beyond what there is
    case 4: return *(long long *)(void *)(end() - 4 + zero) != 0; // WHY address 0x20000; the memory ends at 0x20000: just .*
    case 5: return ((char *)0x12345678)[zero]; // WHY address 0x12345678; the memory ends at 0x20000: no pointer, or an overwritten one
    case 6: return (int)((other_function *)called)(1); // WHY element 1 of a table of \d+: one is \(i32\) -> \(i32\), and was called as \(f64\) -> \(i64\)
    case 7: called = NULL; return ((function *)called)(1); // WHY element 0 of a table of \d+: a null pointer was called as a function
    case 8: called = (void *)1000; return ((function *)called)(1); // WHY element 1000 of a table of \d+: what was called is no pointer to a function
    case 9: abort(); // WHY it gave up: abort\(\), a failed check, or what its compiler holds for impossible
    case 10: return endless(1); // WHY probably a recursion that does not end
    case 11: memset((void *)0x7fffffff, zero, 100000); return 0; // WHY
    case 12: return 1000 / zero; // WHY
    case 13: return __atomic_fetch_add((int *)(void *)(end() + zero), 1, __ATOMIC_SEQ_CST); // WHY address 0x20000; .*
    case 14: *(end() + zero) = 1; return 0; // WHY address 0x20000; .*
    // clang-format on
    default: return 0;
    }
}

int main(int count, char **words)
{
    return count > 1 ? run(atoi(words[1])) : 0;
}
