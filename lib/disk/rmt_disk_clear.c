#include "disk/rmt_disk.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_wipe.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/fs.h>

// Old boot code, loaders behind it and backup tables lie in these many bytes at
// both ends of a disk.
#define END_SIZE ((uint64_t) 1024 * 1024)

static int
s_measure(int fd, const char *path, uint64_t *bytes_out, rmt_error_t *error)
{
    struct stat info;
    if (fstat(fd, &info) == -1)
        return rmt_fail_errno(error, "%s", path);
    *bytes_out = (uint64_t) info.st_size;
    if (S_ISBLK(info.st_mode) && ioctl(fd, BLKGETSIZE64, bytes_out) == -1)
        return rmt_fail_errno(error, "size of %s", path);
    return 0;
}

static int
s_clear_ends(int fd, uint64_t bytes, rmt_error_t *error)
{
    rmt_auto_ptr zeros = calloc(1, END_SIZE);
    if (!zeros)
        abort();
    const size_t size = (size_t) (bytes < END_SIZE ? bytes : END_SIZE);
    if (rmt_io_pwrite(fd, zeros, size, 0, error) == -1)
        return -1;
    return rmt_io_pwrite(fd, zeros, size, (off_t) (bytes - size), error);
}

// The next read comes from the medium, where there is one.
static int
s_flush(int fd, const char *path, rmt_error_t *error)
{
    struct stat info;
    if (fsync(fd) == -1 || fstat(fd, &info) == -1)
        return rmt_fail_errno(error, "clear %s", path);
    if (S_ISBLK(info.st_mode) && ioctl(fd, BLKFLSBUF, 0) == -1)
        return rmt_fail_errno(error, "flush %s", path);
    return 0;
}

// What lies in a partition is found again by a new one that starts there, and by tools
// that look for it; so it goes before the table that tells where it is.
int
rmt_disk_clear(const char *path, rmt_error_t *error)
{
    assert(path);
    const rmt_range_t whole = {0, 0};
    rmt_auto_ptr memory = NULL;
    rmt_range_t *ranges = NULL;
    size_t count = 0;
    uint64_t bytes = 0;
    rmt_auto_fd fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open %s", path);
    if (s_measure(fd, path, &bytes, error) == -1 ||
        rmt_wipe_find_partitions(fd, path, &ranges, &count, error) == -1)
        return -1;
    memory = ranges;
    for (size_t i = count; i > 0; i--)
        if (rmt_wipe_range(fd, path, &ranges[i - 1], error) == -1)
            return -1;
    if (rmt_wipe_range(fd, path, &whole, error) == -1 ||
        s_clear_ends(fd, bytes, error) == -1 || s_flush(fd, path, error) == -1)
        return rmt_wrap(error, "clear %s", path);
    for (size_t i = 0; i < count; i++)
        if (rmt_wipe_check(fd, path, &ranges[i], error) == -1)
            return -1;
    return rmt_wipe_check(fd, path, &whole, error);
}
