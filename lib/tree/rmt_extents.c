#include "tree/rmt_extents.h"
#include "base/rmt_grow.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <errno.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

// Extents of one answer of the kernel.
#define MAP_COUNT 64

void
rmt_extents_add(rmt_extents_t *self, uint64_t offset, uint64_t size)
{
    if (!size)
        return;
    if (self->count) {
        rmt_extent_t *last = &self->items[self->count - 1];
        assert(last->offset + last->size <= offset);
        if (last->offset + last->size == offset) {
            last->size += size;
            return;
        }
    }
    rmt_grow(&self->items, &self->room, self->count + 1);
    self->items[self->count++] = (rmt_extent_t){offset, size};
}

void
rmt_extents_free(rmt_extents_t *self)
{
    free(self->items);
    *self = (rmt_extents_t){0};
}

uint64_t
rmt_extents_size(const rmt_extents_t *self)
{
    uint64_t size = 0;
    for (size_t i = 0; i < self->count; i++)
        size += self->items[i].size;
    return size;
}

rmt_extents_t
rmt_extents_subtract(const rmt_extents_t *a, const rmt_extents_t *b)
{
    rmt_extents_t rest = {0};
    size_t j = 0;
    for (size_t i = 0; i < a->count; i++) {
        uint64_t at = a->items[i].offset;
        const uint64_t end = at + a->items[i].size;
        while (j < b->count && b->items[j].offset + b->items[j].size <= at)
            j++;
        for (size_t k = j; k < b->count && b->items[k].offset < end; k++) {
            if (b->items[k].offset > at)
                rmt_extents_add(&rest, at, b->items[k].offset - at);
            at = b->items[k].offset + b->items[k].size;
        }
        if (at < end)
            rmt_extents_add(&rest, at, end - at);
    }
    return rest;
}

// ---- What the file system has allocated

typedef struct {
    bool is_known;    // The file system tells
    uint64_t covered; // So many bytes from the start are allocated without a gap
    rmt_extents_t reserved;
} s_map_t;

// Take one answer. True when it was the last.
static bool
s_add_mapped(s_map_t *map, const struct fiemap *answer, uint64_t *next_out)
{
    for (uint32_t i = 0; i < answer->fm_mapped_extents; i++) {
        const struct fiemap_extent *extent = &answer->fm_extents[i];
        const uint64_t start = extent->fe_logical, end = start + extent->fe_length;
        if (start <= map->covered && end > map->covered)
            map->covered = end;
        if (extent->fe_flags & FIEMAP_EXTENT_UNWRITTEN && start >= *next_out)
            rmt_extents_add(&map->reserved, start, extent->fe_length);
        *next_out = end > *next_out ? end : *next_out;
        if (extent->fe_flags & FIEMAP_EXTENT_LAST)
            return true;
    }
    return answer->fm_mapped_extents == 0;
}

static int
s_read_map(s_map_t *map, int fd, uint32_t flags, rmt_error_t *error)
{
    union {
        struct fiemap head;
        uint8_t room[sizeof(struct fiemap) + MAP_COUNT * sizeof(struct fiemap_extent)];
    } answer;
    *map = (s_map_t){.is_known = true, .reserved = map->reserved};
    map->reserved.count = 0;
    for (uint64_t next = 0;;) {
        answer.head = (struct fiemap){.fm_start = next,
                                      .fm_length = FIEMAP_MAX_OFFSET - next,
                                      .fm_flags = flags,
                                      .fm_extent_count = MAP_COUNT};
        if (ioctl(fd, FS_IOC_FIEMAP, &answer) == -1) {
            map->is_known = false;
            map->reserved.count = 0;
            if (errno == EOPNOTSUPP || errno == ENOTTY || errno == EBADR)
                return 0;
            return rmt_fail_errno(error, "ask where it is allocated");
        }
        if (s_add_mapped(map, &answer.head, &next))
            return 0;
    }
}

// XFS allocates behind the end of files that are written, and takes it back some time;
// it marks the files in which that was asked for.
static int
s_drop_speculative(rmt_extents_t *reserved, int fd, const struct stat *status,
                   rmt_error_t *error)
{
    const uint64_t block = (uint64_t) status->st_blksize;
    const uint64_t size = (uint64_t) status->st_size;
    const uint64_t end = block ? (size + block - 1) / block * block : size;
    rmt_extent_t *last = &reserved->items[reserved->count - 1];
    if (last->offset + last->size <= end)
        return 0;
    struct statfs system;
    struct fsxattr extended = {0};
    if (fstatfs(fd, &system) == -1)
        return rmt_fail_errno(error, "ask for its file system");
    if (system.f_type != XFS_SUPER_MAGIC)
        return 0;
    if (ioctl(fd, FS_IOC_FSGETXATTR, &extended) == -1)
        return rmt_fail_errno(error, "ask for its attributes");
    if (extended.fsx_xflags & FS_XFLAG_PREALLOC)
        return 0;
    while (reserved->count && reserved->items[reserved->count - 1].offset >= end)
        reserved->count--;
    last = reserved->count ? &reserved->items[reserved->count - 1] : NULL;
    if (last && last->offset + last->size > end)
        last->size = end - last->offset;
    return 0;
}

static int
s_read_data(rmt_extents_t *self, int fd, uint64_t size, rmt_error_t *error)
{
    off_t at = 0;
    while ((uint64_t) at < size) {
        const off_t start = lseek(fd, at, SEEK_DATA);
        if (start == -1 && errno == ENXIO)
            break; // A hole up to the end
        if (start == -1 && errno == EINVAL && at == 0) {
            rmt_extents_add(self, 0, size);
            break;
        }
        if (start == -1)
            return rmt_fail_errno(error, "look for data");
        const off_t end = lseek(fd, start, SEEK_HOLE);
        if (end == -1 && errno == ENXIO)
            break; // Truncated meanwhile
        if (end == -1)
            return rmt_fail_errno(error, "look for a hole");
        if ((uint64_t) start >= size)
            break;
        const uint64_t stop = (uint64_t) end < size ? (uint64_t) end : size;
        rmt_extents_add(self, (uint64_t) start, stop - (uint64_t) start);
        at = end;
    }
    return 0;
}

int
rmt_extents_read(rmt_extents_t *data, rmt_extents_t *reserved, int fd,
                 const struct stat *status, rmt_error_t *error)
{
    const uint64_t size = (uint64_t) status->st_size;
    s_map_t map = {.reserved = *reserved};
    data->count = reserved->count = 0;
    if (!size && !status->st_blocks)
        return 0;
    int result = s_read_map(&map, fd, 0, error);
    // Bytes that are not on disk yet look reserved, and so does what was only read look
    // like data: after a sync the map is right, and goes before what the page cache says.
    if (result == 0 && map.reserved.count)
        result = s_read_map(&map, fd, FIEMAP_FLAG_SYNC, error);
    if (result == 0 && map.reserved.count)
        result = s_drop_speculative(&map.reserved, fd, status, error);
    *reserved = map.reserved;
    if (result == -1)
        return -1;
    // Blocks are counted with those of attributes and of the map itself, so they tell
    // only where the file system does not.
    const bool is_whole =
        map.is_known ? map.covered >= size : (uint64_t) status->st_blocks * 512 >= size;
    if (is_whole)
        rmt_extents_add(data, 0, size);
    else if (s_read_data(data, fd, size, error) == -1)
        return -1;
    if (reserved->count) {
        rmt_extents_t rest = rmt_extents_subtract(data, reserved);
        rmt_extents_free(data);
        *data = rest;
    }
    return 0;
}

bool
rmt_extents_is_sparse(const rmt_extents_t *self, uint64_t size)
{
    return size > 0 && rmt_extents_size(self) != size;
}

// Go to the run that holds a position. Returns how far into it that is.
static uint64_t
s_seek(rmt_runs_t *runs, uint64_t position)
{
    if (position < runs->before) {
        runs->at = 0;
        runs->before = 0;
    }
    while (runs->at < runs->count &&
           position - runs->before >= runs->items[runs->at].size)
        runs->before += runs->items[runs->at++].size;
    return position - runs->before;
}

ssize_t
rmt_runs_pread(rmt_runs_t *runs, int fd, uint64_t position, void *data, size_t size,
               rmt_error_t *error)
{
    size_t done = 0;
    while (done < size) {
        const uint64_t inside = s_seek(runs, position + done);
        assert(runs->at < runs->count);
        const rmt_extent_t *run = &runs->items[runs->at];
        const uint64_t left = run->size - inside;
        const size_t wanted = left < size - done ? (size_t) left : size - done;
        const ssize_t got =
            pread(fd, (char *) data + done, wanted, (off_t) (run->offset + inside));
        if (got == -1 && errno == EINTR)
            continue;
        if (got == -1)
            return rmt_fail_errno(error, "read");
        if (got == 0)
            break;
        done += (size_t) got;
    }
    return (ssize_t) done;
}

int
rmt_runs_pwrite(rmt_runs_t *runs, int fd, uint64_t position, const void *data,
                size_t size, rmt_error_t *error)
{
    size_t done = 0;
    while (done < size) {
        const uint64_t inside = s_seek(runs, position + done);
        assert(runs->at < runs->count);
        const rmt_extent_t *run = &runs->items[runs->at];
        const uint64_t left = run->size - inside;
        const size_t piece = left < size - done ? (size_t) left : size - done;
        if (rmt_io_pwrite(fd, (const char *) data + done, piece,
                          (off_t) (run->offset + inside), error) == -1)
            return -1;
        done += piece;
    }
    return 0;
}
