// SPDX-License-Identifier: MIT
// Standard input, output and error of programs, over the one serial port.
//
// Plainly, all output goes out as it is, and input never ends. Multiplexed (console_multiplex), the
// other side, which is `nebulet boot`, can tell the streams apart and ends input: DLE (0x10)
// introduces what is not data.
//
//   out   DLE 1, DLE 2   what follows is output, is errors; output at first
//         DLE R          input may be sent from now on
//         DLE E n        a program has ended with exit code n, one byte
//   both  DLE DLE        the byte DLE
//   in    DLE Z          input ends here
#pragma once
#include "fs/vfs.h"

enum { CONSOLE_IN, CONSOLE_OUT, CONSOLE_ERR };
struct vfs_file *console_file(u32 stream); // not counted: lives for ever
void console_multiplex(void);
// Input begins with these bytes, and, if `all`, ends with them.
void console_preload(const u8 *p, u64 size, bool all);
void console_ended(u8 exit_code);
