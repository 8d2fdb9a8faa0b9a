// SPDX-License-Identifier: MIT
static volatile double large = 1e30;

int main(void)
{
    __builtin_printf("%d\n", __builtin_wasm_trunc_s_i32_f64(large)); // HERE
    return 0;
}
