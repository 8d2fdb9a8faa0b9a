# SPDX-License-Identifier: MIT
# What clang makes of C with threads, as WASI has them, is a valid module: a shared memory that is
# imported, thread-local variables, atomics of all widths, waiting.
command -v clang-22 wasm-ld-22 >/dev/null || { echo "no clang-22 here" >&2; exit 77; }
cat >threads.c <<'END'
static _Atomic int counter;
static _Atomic unsigned char byte;
static _Atomic unsigned short half;
static _Atomic long long wide;
static _Thread_local int own = 3;

__attribute__((import_module("wasi"), import_name("thread-spawn"))) int thread_spawn(int);

__attribute__((export_name("wasi_thread_start"))) void wasi_thread_start(int tid, int arg)
{
    own += tid;
    counter += own + arg;
    __builtin_wasm_memory_atomic_notify((int *)&counter, 1);
}

__attribute__((export_name("_start"))) void _start(void)
{
    thread_spawn(5);
    while (!counter)
        __builtin_wasm_memory_atomic_wait32((int *)&counter, 0, -1);
    unsigned char expected = (unsigned char)counter;
    __c11_atomic_compare_exchange_strong(&byte, &expected, 7, 5, 5);
    __c11_atomic_fetch_xor(&half, 3, 5);
    __c11_atomic_fetch_sub(&wide, 1, 5);
    __c11_atomic_exchange(&wide, 9, 5);
    __c11_atomic_thread_fence(5);
}
END
clang-22 --target=wasm32-wasip1-threads -pthread -O2 -nostdlib -matomics -mbulk-memory threads.c \
    -Wl,--shared-memory,--import-memory,--export-memory,--max-memory=1048576,--no-entry \
    -o threads.wasm
run validate threads.wasm
exits 0
run inspect threads.wasm
exits 0
prints 'env memory +[0-9]+ to 16 pages of 64 KiB, shared'
prints 'wasi thread-spawn'
