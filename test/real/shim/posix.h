// SPDX-License-Identifier: MIT
// What the real programs ask of POSIX and this wasi-libc does not declare: owners, modes, users and
// other processes. The build includes this file ahead of each of their sources (-include) and links
// posix.c, which says how the calls answer.
#ifndef SHIM_POSIX_H
#define SHIM_POSIX_H

#include <stdio.h>
#include <sys/types.h>

struct passwd {
    char *pw_name;
    char *pw_dir;
};

// Advisory locks: names only. sqlite3 is built to open its files with the unlocked "unix-none" VFS.
enum { F_RDLCK, F_WRLCK, F_UNLCK, F_GETLK = 5, F_SETLK, F_SETLKW };

int getpagesize(void);
int chmod(const char *path, mode_t mode);
int fchmod(int fd, mode_t mode);
int chown(const char *path, uid_t user, gid_t group);
int fchown(int fd, uid_t user, gid_t group);
mode_t umask(mode_t mode);
uid_t getuid(void);
uid_t geteuid(void);
struct passwd *getpwuid(uid_t user);
FILE *popen(const char *command, const char *how);
int pclose(FILE *file);
int system(const char *command);

#endif
