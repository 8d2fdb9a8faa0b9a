// SPDX-License-Identifier: MIT
// MicroPython's exceptions are longjmp's, which clang makes of WebAssembly's (-wasm-enable-sjlj),
// and for which Debian's wasi-libc has nothing.
#pragma once

typedef struct {
    void *frame; // of the function that called setjmp, which the other functions are told
    unsigned label;
    struct {
        void *env;
        int value;
    } thrown;
} jmp_buf[1];

int setjmp(jmp_buf env) __attribute__((returns_twice));
_Noreturn void longjmp(jmp_buf env, int value);
