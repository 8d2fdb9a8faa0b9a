// SPDX-License-Identifier: MIT
// Lines of ours that go where a program's own output may go, too: to the terminal, say. None is in
// the middle of a line of the program's: while that has written a part of one, ours are held back,
// up to a megabyte, and then the program's line ends there.
#pragma once
#include "fs/vfs.h"

// Where they go from now on, before anything runs; the descriptor stays open until lines_close.
void lines_open(int fd);
void lines_put(const char *text, size_t n); // whole lines; from any CPU
int lines_close(void); // what was held back is out; 0, or errno of a line that is not

// Around a write of a program's to descriptor 1 or 2, where that is another name of the same file.
bool lines_share(int fd);
void lines_begin(void);
void lines_end(int fd, const struct vfs_iov *v, u32 n, s64 written);
