// SPDX-License-Identifier: MIT
// Where a program without a libc begins and ends. clang calls main() by one of two names, so that
// its arguments are fetched only for those that want them.
#include <nebulet/calls.h>

void __wasm_call_ctors(void);
int __main_void(void);
void _start(void);

void _start(void)
{
    __wasm_call_ctors();
    nebulet_exit((uint32_t)__main_void());
}
