// SPDX-License-Identifier: MIT
// What clang makes of setjmp and longjmp: see setjmp.h.
#include <setjmp.h>

__asm__(".globl __c_longjmp\n"
        ".tagtype __c_longjmp i32\n"
        "__c_longjmp:\n");

void __wasm_setjmp(jmp_buf env, unsigned label, void *frame)
{
    env->frame = frame;
    env->label = label;
}

unsigned __wasm_setjmp_test(const jmp_buf env, const void *frame)
{
    return env->frame == frame ? env->label : 0;
}

_Noreturn void __wasm_longjmp(jmp_buf env, int value)
{
    enum { LONGJMP = 1 };
    env->thrown.env = env;
    env->thrown.value = value ? value : 1;
    __builtin_wasm_throw(LONGJMP, &env->thrown);
}
