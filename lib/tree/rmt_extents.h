// rmt_extents - where a regular file has data, where holes, and where space is reserved.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "base/rmt_error.h"
#include "store/rmt_manifest.h"

typedef struct {
    rmt_extent_t *items; // free
    size_t count, room;
} rmt_extents_t;

// Append a run; one that touches the last run is joined to it.
void rmt_extents_add(rmt_extents_t *self, uint64_t offset, uint64_t size);
void rmt_extents_free(rmt_extents_t *self);
// All bytes that the runs cover.
uint64_t rmt_extents_size(const rmt_extents_t *self);

// What a covers and b does not. Caller frees.
rmt_extents_t rmt_extents_subtract(const rmt_extents_t *a, const rmt_extents_t *b);

// Read the data runs of the open file whose status is given, and the runs of space that
// is reserved without data (fallocate), which may lie behind its size. A file system that
// keeps no holes gives one run of data. Moves the file offset; when there is reserved
// space, blocks until what the file has in memory is on disk. 0, or -1: IO.
int rmt_extents_read(rmt_extents_t *data, rmt_extents_t *reserved, int fd,
                     const struct stat *status, rmt_error_t *error);
// True when the runs are less than the whole file of this size.
bool rmt_extents_is_sparse(const rmt_extents_t *self, uint64_t size);

// A reader or writer of the runs' concatenation that remembers where it was, so that
// going on costs nothing. Begin with { items, count }.
typedef struct {
    const rmt_extent_t *items;
    size_t count;
    size_t at;       // The run of the last position
    uint64_t before; // Bytes of the runs before that
} rmt_runs_t;

// Read size bytes at a position. Returns the bytes read, which are less when the file
// ends early, or -1: IO.
ssize_t rmt_runs_pread(rmt_runs_t *runs, int fd, uint64_t position, void *data,
                       size_t size, rmt_error_t *error);
// Write size bytes at a position. 0, or -1: IO, NO_SPACE.
int rmt_runs_pwrite(rmt_runs_t *runs, int fd, uint64_t position, const void *data,
                    size_t size, rmt_error_t *error);
