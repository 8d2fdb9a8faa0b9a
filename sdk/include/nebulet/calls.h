// SPDX-License-Identifier: MIT
// The platform's calls: a prototype for each row of nebulet/calls.def, which says what it does (and
// doc/abi.md, at more length). So the row
//
//   CALL(21, channel_send, ..., OBJECT(channel, ...) IN(bytes) LIST(handles, nebulet_handle)
//   DEADLINE(deadline), ...)
//
// is
//
//   int64_t nebulet_channel_send(nebulet_handle channel, const void *bytes, uint32_t bytes_size,
//                                nebulet_handle *handles, uint32_t handles_count, uint64_t
//                                deadline);
//
// Every call returns 0 or a result that is not negative, or an error. A call that a program does
// not use is not imported.
#pragma once
#include <nebulet/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ERROR(number, name, text) NEBULET_ERR_##name = number,
enum nebulet_error {
#include <nebulet/errors.def>
};
#undef ERROR

// The arguments of a row follow a first one that REST takes away; without any, it yields void.
#define NEBULET_NONE void
#define NEBULET_NONE_NOT
#define NEBULET_REST(first, ...) (__VA_ARGS__ NEBULET_NONE##__VA_OPT__(_NOT))
#define NEBULET_PARAMETERS(...) NEBULET_REST(__VA_ARGS__)
#define NEBULET_IMPORT(name) __attribute__((import_module("nebulet"), import_name(#name)))

#define OBJECT(x, type, rights) , nebulet_handle x
#define ANY(x, rights) , nebulet_handle x
#define HANDLE(x) , nebulet_handle x
#define NUM(x) , uint32_t x
#define LONG(x) , uint64_t x
#define DEADLINE(x) , uint64_t x
#define IN(x) , const void *x, uint32_t x##_size
#define BUFFER(x) , void *x, uint32_t x##_size
#define LIST(x, type) , type *x, uint32_t x##_count
#define OUT(x, type) , __typeof__(type) *x
#define MAYBE(x, type) , type *x
#define WORD(x) , uint32_t *x
#define CALL(number, name, waits, privilege, args, errors, doc)                                    \
    NEBULET_IMPORT(name) int64_t nebulet_##name NEBULET_PARAMETERS(first args);
#define NORETURN(number, name, args, doc)                                                          \
    NEBULET_IMPORT(name)                                                                           \
    __attribute__((noreturn)) void nebulet_##name NEBULET_PARAMETERS(first args);
#include <nebulet/calls.def>

#undef NEBULET_NONE
#undef NEBULET_NONE_NOT
#undef NEBULET_REST
#undef NEBULET_PARAMETERS
#undef NEBULET_IMPORT

#ifdef __cplusplus
}
#endif
