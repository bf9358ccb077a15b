#include "tree/rmt_contents.h"
#include "store/rmt_chunk.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

rmt_contents_t *
rmt_contents_new(const char *path)
{
    rmt_contents_t *self = calloc(1, sizeof *self);
    assert(self);
    self->path = strdup(path);
    assert(self->path);
    self->expected_fd = self->found_fd = -1;
    return self;
}

void
rmt_contents_destroy(rmt_contents_t **self_p)
{
    rmt_contents_t *self = *self_p;
    if (!self)
        return;
    if (self->expected_fd != -1)
        close(self->expected_fd);
    if (self->found_fd != -1)
        close(self->found_fd);
    free(self->chunks);
    free(self->chunk_sizes);
    rmt_extents_free(&self->expected);
    rmt_extents_free(&self->found);
    free(self->path);
    free(self);
    *self_p = NULL;
}

static void
s_differ(rmt_contents_t *self, const char *how, uint64_t position)
{
    self->is_different = true;
    snprintf(self->text, sizeof self->text, "%.100s at byte %llu of the data", how,
             (unsigned long long) position);
}

// Read a piece whole. False when that is not possible, which is a difference.
static bool
s_read(rmt_contents_t *self, rmt_runs_t *runs, int fd, uint64_t position, void *data,
       size_t size)
{
    rmt_error_t error = {0};
    const ssize_t done = rmt_runs_pread(runs, fd, position, data, size, &error);
    if (done == (ssize_t) size)
        return true;
    self->why = error.code;
    s_differ(self, done == -1 ? error.text : "ends early", position);
    return false;
}

static void
s_check_chunks(rmt_contents_t *self, void *buffer)
{
    rmt_runs_t runs = {.items = self->expected.items, .count = self->expected.count};
    uint64_t position = 0;
    for (size_t i = 0; i < self->chunk_count && !self->is_different; i++) {
        const size_t size = self->chunk_sizes[i];
        if (!s_read(self, &runs, self->found_fd, position, buffer, size))
            return;
        rmt_id_t id;
        rmt_id_compute(&id, buffer, size);
        if (!rmt_id_equal(&id, &self->chunks[i]))
            s_differ(self, "other bytes in the chunk", position);
        position += size;
        self->size += size;
    }
}

static rmt_extents_t
s_union(const rmt_extents_t *a, const rmt_extents_t *b)
{
    rmt_extents_t both = {0};
    uint64_t end = 0;
    for (size_t i = 0, j = 0; i < a->count || j < b->count;) {
        const bool from_a =
            j == b->count || (i < a->count && a->items[i].offset <= b->items[j].offset);
        rmt_extent_t run = from_a ? a->items[i++] : b->items[j++];
        const uint64_t stop = run.offset + run.size;
        if (run.offset < end)
            run.offset = end;
        if (stop > run.offset) {
            rmt_extents_add(&both, run.offset, stop - run.offset);
            end = stop;
        }
    }
    return both;
}

// Data that was found where a hole was expected has to be zeros.
static void
s_check_zeros(rmt_contents_t *self, void *buffer)
{
    rmt_extents_t rest = rmt_extents_subtract(&self->found, &self->expected);
    rmt_runs_t runs = {.items = rest.items, .count = rest.count};
    const uint64_t size = rmt_extents_size(&rest);
    for (uint64_t at = 0; at < size && !self->is_different;) {
        const uint64_t left = size - at;
        const size_t piece =
            left < RMT_CHUNK_PLAIN_MAX ? (size_t) left : RMT_CHUNK_PLAIN_MAX;
        if (!s_read(self, &runs, self->found_fd, at, buffer, piece))
            break;
        const uint8_t *bytes = buffer;
        if (bytes[0] || memcmp(bytes, bytes + 1, piece - 1) != 0)
            s_differ(self, "bytes in a hole", at);
        at += piece;
    }
    rmt_extents_free(&rest);
}

static void
s_check_files(rmt_contents_t *self, void *buffer, void *other)
{
    rmt_extents_t both = s_union(&self->expected, &self->found);
    rmt_runs_t runs = {.items = both.items, .count = both.count};
    const uint64_t size = rmt_extents_size(&both);
    for (uint64_t at = 0; at < size && !self->is_different;) {
        const uint64_t left = size - at;
        const size_t piece =
            left < RMT_CHUNK_PLAIN_MAX ? (size_t) left : RMT_CHUNK_PLAIN_MAX;
        if (!s_read(self, &runs, self->expected_fd, at, buffer, piece) ||
            !s_read(self, &runs, self->found_fd, at, other, piece))
            break;
        if (memcmp(buffer, other, piece) != 0)
            s_differ(self, "other bytes", at);
        at += piece;
        self->size += piece;
    }
    rmt_extents_free(&both);
}

void
rmt_contents_check(rmt_contents_t *self, void *buffer, void *other)
{
    if (self->expected_fd != -1) {
        s_check_files(self, buffer, other);
        return;
    }
    s_check_chunks(self, buffer);
    if (!self->is_different)
        s_check_zeros(self, buffer);
}

// The runs, made to whole blocks up to size.
static rmt_extents_t
s_round(const rmt_extents_t *runs, uint64_t block, uint64_t size)
{
    rmt_extents_t rounded = {0};
    uint64_t end = 0;
    for (size_t i = 0; i < runs->count; i++) {
        const rmt_extent_t *run = &runs->items[i];
        uint64_t start = run->offset - run->offset % block;
        uint64_t stop = run->offset + run->size;
        if (stop % block)
            stop += block - stop % block;
        if (stop > size)
            stop = size;
        if (start < end)
            start = end;
        if (stop > start) {
            rmt_extents_add(&rounded, start, stop - start);
            end = stop;
        }
    }
    return rounded;
}

bool
rmt_contents_same_runs(const rmt_extents_t *a, const rmt_extents_t *b, uint64_t block,
                       uint64_t size)
{
    rmt_extents_t rounded_a = s_round(a, block, size);
    rmt_extents_t rounded_b = s_round(b, block, size);
    bool same = rounded_a.count == rounded_b.count;
    for (size_t i = 0; same && i < rounded_a.count; i++)
        same = rounded_a.items[i].offset == rounded_b.items[i].offset &&
               rounded_a.items[i].size == rounded_b.items[i].size;
    rmt_extents_free(&rounded_a);
    rmt_extents_free(&rounded_b);
    return same;
}
