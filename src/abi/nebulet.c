// SPDX-License-Identifier: MIT
// The platform's own calls, a row each. At present there is one, which does nothing: it shows what
// a call into the host costs.
#include "abi/nebulet.h"

static void call_null(struct vmctx *vm, u64 *slots)
{
    (void)vm;
    slots[0] = 0;
}

static const struct host_func calls[] = {
    {"null", ":I", call_null},
};

status nebulet_register(struct store *s)
{
    return store_host_module(s, "nebulet", calls, countof(calls));
}
