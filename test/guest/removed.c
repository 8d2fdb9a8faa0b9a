// SPDX-License-Identifier: MIT
// Files that have been removed and are still open: what they are, and where they end.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void look(const char *what, int fd)
{
    struct stat st;
    int e = fstat(fd, &st);
    printf("%s: %s, %lld bytes, %d names, end at %lld\n", what,
           e                     ? "error"
           : S_ISREG(st.st_mode) ? "a file"
                                 : "something else",
           (long long)st.st_size, (int)st.st_nlink, (long long)lseek(fd, 0, SEEK_END));
}

int main(void)
{
    static char bytes[70000];
    int fd = open("/data/file", O_RDWR | O_CREAT, 0666), more;
    if (fd < 0 || unlink("/data/file"))
        return 1;
    look("empty", fd);
    for (int i = 0; i < 3; i++) {
        static const int sizes[] = {1, 2, 70000};
        printf("%zd\n", write(fd, bytes, (size_t)sizes[i]));
        look("longer", fd);
    }
    more = open("/data/other", O_RDWR | O_CREAT | O_APPEND, 0666);
    if (more < 0 || write(more, "text", 4) != 4 || unlink("/data/other"))
        return 1;
    printf("%zd\n", write(more, " and more", 9));
    look("appended", more);
    printf("%zd: %.13s\n", pread(more, bytes, sizeof bytes, 0), bytes);
    printf("%d\n", open("/data/other", O_RDONLY) < 0);
    return 0;
}
