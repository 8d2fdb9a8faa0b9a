// SPDX-License-Identifier: MIT
// The calls that posix.h declares, answered honestly for a system that lacks the feature: changing
// an owner or a mode succeeds and changes nothing (there is none to change), starting a program
// fails with ENOSYS, and there is one user, number 0, without an entry in the password file. The
// programs under test handle all of these, for each is an answer that a real system may give too.
#include "posix.h"

#include <errno.h>
#include <stddef.h>

int chmod(const char *path, mode_t mode)
{
    (void)path;
    (void)mode;
    return 0;
}

int fchmod(int fd, mode_t mode)
{
    (void)fd;
    (void)mode;
    return 0;
}

int chown(const char *path, uid_t user, gid_t group)
{
    (void)path;
    (void)user;
    (void)group;
    return 0;
}

int fchown(int fd, uid_t user, gid_t group)
{
    (void)fd;
    (void)user;
    (void)group;
    return 0;
}

mode_t umask(mode_t mode)
{
    (void)mode;
    return 0;
}

uid_t getuid(void)
{
    return 0;
}

uid_t geteuid(void)
{
    return 0;
}

struct passwd *getpwuid(uid_t user)
{
    (void)user;
    return NULL;
}

FILE *popen(const char *command, const char *how)
{
    (void)command;
    (void)how;
    errno = ENOSYS;
    return NULL;
}

int pclose(FILE *file)
{
    (void)file;
    errno = ENOSYS;
    return -1;
}

int system(const char *command)
{
    (void)command;
    errno = ENOSYS;
    return -1;
}

int getpagesize(void)
{
    return 65536;
}
