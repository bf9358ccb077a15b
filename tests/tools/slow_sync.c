// Makes the disk of a program that preloads this (LD_PRELOAD) slow, and of no other: each
// fdatasync and fsync waits for as many milliseconds as the file says that
// RAMET_SLOW_SYNC names.
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TEXT_SIZE 32

static int
s_wait_ms(void)
{
    char text[TEXT_SIZE] = "";
    const char *path = getenv("RAMET_SLOW_SYNC");
    const int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd == -1)
        return 0;
    const ssize_t size = read(fd, text, sizeof text - 1);
    (void) close(fd);
    return size > 0 ? (int) strtol(text, NULL, 10) : 0;
}

__attribute__((visibility("default"))) int
fdatasync(int fd)
{
    (void) poll(NULL, 0, s_wait_ms());
    return (int) syscall(SYS_fdatasync, fd);
}

__attribute__((visibility("default"))) int
fsync(int fd)
{
    (void) poll(NULL, 0, s_wait_ms());
    return (int) syscall(SYS_fsync, fd);
}
