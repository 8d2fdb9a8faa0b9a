// SPDX-License-Identifier: MIT
// A process: what a guest program owns. The runtime hands it to host functions as vmctx->process;
// each interface to the guest keeps its own part here. A part that is NULL is not there: its calls
// answer that they are not supported.
#pragma once

struct process {
    struct wasi *wasi; // abi/wasi.h
};
