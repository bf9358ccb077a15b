// Shifts the time of day of a program that preloads this (LD_PRELOAD), and of no other.
//
// RAMET_SHIFT names a file of 32 bytes that begins with a number of seconds, which may be
// written over while the program runs. The monotonic clocks stay as they are.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SHIFT_SIZE 32

// Calls of the kernel, for the functions of the C library are the ones that stand here.
static int
s_read(clockid_t clock, struct timespec *out)
{
    return (int) syscall(SYS_clock_gettime, clock, out);
}

static time_t
s_shift_s(void)
{
    static const char *text; // Mapped once
    if (!text) {
        const char *path = getenv("RAMET_SHIFT");
        const int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *map =
            fd >= 0 ? mmap(NULL, SHIFT_SIZE, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
        if (fd >= 0)
            close(fd);
        text = map == MAP_FAILED ? "0" : map;
    }
    return (time_t) strtoll(text, NULL, 10);
}

__attribute__((visibility("default"))) int
clock_gettime(clockid_t clock, struct timespec *out)
{
    const int rc = s_read(clock, out);
    if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        out->tv_sec += s_shift_s();
    return rc;
}

__attribute__((visibility("default"))) int
gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    (void) zone;
    struct timespec now;
    const int rc = clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return rc;
}

__attribute__((visibility("default"))) time_t
time(time_t *out)
{
    struct timespec now;
    (void) clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}
