// SPDX-License-Identifier: MIT
// Standard input, output and error of programs, over the one serial port.
//
// Plainly, all output goes out as it is, and input never ends. Multiplexed (console_multiplex), the
// other side, which is `nebulet boot`, can tell the streams apart, ends input, and says when output
// does not arrive: DLE (0x10) introduces what is not data.
//
//   out   DLE V              all that follows comes by the virtio console, if the machine has one
//         DLE 1, DLE 2       what follows is output, is errors; output at first
//         DLE 3              what follows, up to the next of these, tells of one program's trap
//         DLE 4              what follows are lines of a trace
//         DLE R              CONSOLE_GRANT bytes more of data may be sent
//         DLE E n            a program has ended with exit code n, one byte
//   both  DLE DLE            the byte DLE
//   in    DLE V              the answer: likewise
//         DLE Z              input ends here
//         DLE 1 e, DLE 2 e   output, errors could not be written: an enum fs_error, one byte
//
// No more data is sent than there is room for, so what is said of output never waits behind it.
#pragma once
#include "fs/vfs.h"

// What is written at once to CONSOLE_TELL, up to CONSOLE_TOLD bytes, stays together.
enum { CONSOLE_IN, CONSOLE_OUT, CONSOLE_ERR, CONSOLE_TELL, CONSOLE_TRACE, CONSOLE_STREAMS };
enum { CONSOLE_TOLD = 3800 };
enum { CONSOLE_GRANT = 2048 };
struct vfs_file *console_file(u32 stream);      // not counted: lives for ever; not of CONSOLE_TRACE
void console_trace(const char *line, size_t n); // up to 768 bytes stay together
void console_multiplex(void);
bool console_is_multiplexed(void);
void console_terminal(u32 stream); // on the other side it is one
// Whether a byte that the port has got is data; if not, it has been seen to. The caller holds the
// lock of what it reads into.
bool console_is_data(u8 byte);
u32 console_data(const u8 *p, u32 n); // so many of these are, for certain
// Input begins with these bytes, and, if `all`, ends with them.
void console_preload(const u8 *p, u64 size, bool all);
void console_ended(u8 exit_code);
