// SPDX-License-Identifier: MIT
static volatile int zero;

template <class F> __attribute__((noinline)) int twice(F f)
{
    return f(1) + f(2);
}

int main(int argc, char **)
{
    volatile int base = 100 * argc;
    auto divide = [&](int by) {
        return base / (by * zero); // HERE
    };
    return twice(divide);
}
