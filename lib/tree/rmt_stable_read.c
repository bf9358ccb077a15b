#include "tree/rmt_stable_read.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

// Files that were left alone for so long are not looked at further.
#define YOUNG_MS 60000
// A busy file must have been left alone for so long.
#define ALONE_MS 1000
// Some file systems keep whole or even seconds.
#define COARSE_MS 2000

static int64_t
s_ms(const struct timespec *at)
{
    return (int64_t) at->tv_sec * 1000 + at->tv_nsec / 1000000;
}

// The kernel grants a read lease only while no process has the file open for writing, or
// mapped so. It is given back at once; a writer who comes in between waits that long.
static bool
s_is_open_for_writing(int fd)
{
    // The signal about that writer is one that is ignored by default.
    if (fcntl(fd, F_SETSIG, SIGURG) == -1 || fcntl(fd, F_SETLEASE, F_RDLCK) == -1)
        return true;
    (void) fcntl(fd, F_SETLEASE, F_UNLCK);
    return false;
}

void
rmt_stable_read_begin(rmt_stable_read_t *self, int fd, const struct stat *before)
{
    if (self->is_still)
        return;
    // The clock that times of files are taken from.
    clock_gettime(CLOCK_REALTIME_COARSE, &self->start);
    const bool is_young = s_ms(&self->start) - s_ms(&before->st_ctim) < YOUNG_MS;
    self->is_busy = is_young && s_is_open_for_writing(fd);
}

static bool
s_is_same(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool
s_is_older(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

bool
rmt_stable_read_is_one(const rmt_stable_read_t *self, const struct stat *before,
                       const struct stat *after)
{
    if (before->st_dev != after->st_dev || before->st_ino != after->st_ino ||
        before->st_size != after->st_size ||
        !s_is_same(&before->st_mtim, &after->st_mtim) ||
        !s_is_same(&before->st_ctim, &after->st_ctim))
        return false;
    if (self->is_still)
        return true;
    // A ctime cannot be set; an mtime of the future says nothing, and changes like any.
    if (!s_is_older(&before->st_ctim, &self->start))
        return false;
    const int64_t alone_ms = s_ms(&self->start) - s_ms(&before->st_ctim);
    if (before->st_ctim.tv_nsec == 0 && alone_ms < COARSE_MS)
        return false;
    return !self->is_busy || alone_ms >= ALONE_MS;
}
