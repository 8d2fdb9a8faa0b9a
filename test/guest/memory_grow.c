// SPDX-License-Identifier: MIT
// Memory grows to 1 GiB in steps; new pages are zero, old ones keep what they held.
#include <stdint.h>
#include <stdio.h>

enum { PAGE = 65536, STEP = 1024, STEPS = 16 };

int main(void)
{
    uint32_t zero = 1, kept = 1;
    size_t base = __builtin_wasm_memory_size(0);

    for (uint32_t i = 0; i < STEPS; i++) {
        size_t old = __builtin_wasm_memory_grow(0, STEP);
        if (old != base + i * STEP) {
            printf("step %u: grew from %zu pages\n", i, old);
            return 1;
        }
        volatile uint32_t *first = (volatile uint32_t *)(old * PAGE);
        volatile uint32_t *last = (volatile uint32_t *)((old + STEP) * PAGE - 4);
        zero &= *first == 0 && *last == 0;
        *first = i + 1;
        *last = ~i;
    }
    for (uint32_t i = 0; i < STEPS; i++) {
        size_t start = (base + i * STEP) * PAGE;
        kept &= *(volatile uint32_t *)start == i + 1;
        kept &= *(volatile uint32_t *)(start + STEP * PAGE - 4) == ~i;
    }
    printf("grown by %d pages, zero %u, kept %u\n", STEP * STEPS, zero, kept);
    // 65536 pages are the end of the address space: this cannot work, and must change nothing.
    size_t before = __builtin_wasm_memory_size(0);
    printf("too much: %d\n", (int)__builtin_wasm_memory_grow(0, 65536));
    printf("unchanged: %d\n", before == __builtin_wasm_memory_size(0));
    return 0;
}
