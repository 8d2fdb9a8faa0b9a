// SPDX-License-Identifier: MIT
// Status codes (0 or negative) and the error record that says which byte of the input was wrong,
// and why.
#pragma once
#include "base/types.h"

typedef s32 status;

enum status_code {
    OK = 0,
#define ERROR(number, name, text) ERR_##name = number,
#include "base/errors.def"
#undef ERROR
};

// The text of a status code; never NULL.
const char *status_text(status s);

// What went wrong with a piece of input. The first error sticks: error_set does nothing once code
// is set.
struct error {
    status code;
    u64 offset;     // byte offset in the input; ERROR_NO_OFFSET when there is none
    char text[200]; // the specification's reason first, then details
};
#define ERROR_NO_OFFSET UINT64_MAX

// Records (code, offset, formatted text) unless an error is recorded already. Returns the recorded
// code, so that callers can `return error_set(...)`.
__attribute__((format(printf, 4, 5))) status error_set(struct error *e, status code, u64 offset,
                                                       const char *format, ...);
