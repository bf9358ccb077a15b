#include "rmt_extents.h"
#include "rmt_io.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

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
    if (self->count == self->room) {
        self->room = self->room ? self->room * 2 : 4;
        self->items = realloc(self->items, self->room * sizeof *self->items);
        assert(self->items);
    }
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

int
rmt_extents_read(rmt_extents_t *self, int fd, const struct stat *status,
                 rmt_error_t *error)
{
    self->count = 0;
    const uint64_t size = (uint64_t) status->st_size;
    // Enough blocks for every byte leave no room for a hole worth the system calls.
    if ((uint64_t) status->st_blocks * 512 >= size) {
        rmt_extents_add(self, 0, size);
        return 0;
    }
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
