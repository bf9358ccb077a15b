#include "agent/install/window.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"

#include <assert.h>
#include <string.h>

#define CHUNKS_MAX ((size_t) 16384)
#define ENTRIES_SIZE_MAX ((size_t) 4 * 1024 * 1024)

typedef struct {
    size_t before;       // Goes before the chunk with this index
    size_t offset, size; // In entries
} mark_t;

struct rmt_window {
    rmt_supply_t *supply;
    rmt_pipe_t *pipe;
    uint8_t *entries; // Encoded, one behind the other
    size_t entries_used, entries_room;
    mark_t *marks;
    size_t mark_count, mark_room;
    rmt_id_t *ids;
    size_t *offsets; // Of each chunk in data; one more than there are chunks
    uint32_t *order; // Indices, sorted by id
    size_t count;
    uint8_t *data;
};

rmt_window_t *
rmt_window_new(rmt_supply_t *supply, rmt_pipe_t *pipe)
{
    rmt_window_t *self = calloc(1, sizeof *self);
    assert(self);
    self->supply = supply;
    self->pipe = pipe;
    self->ids = calloc(CHUNKS_MAX, sizeof *self->ids);
    self->offsets = calloc(CHUNKS_MAX + 1, sizeof *self->offsets);
    self->order = calloc(CHUNKS_MAX, sizeof *self->order);
    self->data = malloc(RMT_WINDOW_SIZE);
    assert(self->ids && self->offsets && self->order && self->data);
    return self;
}

void
rmt_window_destroy(rmt_window_t **self_p)
{
    rmt_window_t *self = *self_p;
    if (!self)
        return;
    free(self->entries);
    free(self->marks);
    free(self->ids);
    free(self->offsets);
    free(self->order);
    free(self->data);
    free(self);
    *self_p = NULL;
}

static int
s_compare(const void *a, const void *b, void *context)
{
    const rmt_window_t *self = context;
    const uint32_t *one = a;
    const uint32_t *two = b;
    return rmt_id_compare(&self->ids[*one], &self->ids[*two]);
}

// Index in order of the first chunk with this id, or count.
static size_t
s_find(const rmt_window_t *self, const rmt_id_t *id)
{
    size_t low = 0, high = self->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (rmt_id_compare(&self->ids[self->order[middle]], id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int
s_take(void *context, const rmt_chunk_t *chunk, const void *plain, rmt_error_t *error)
{
    rmt_window_t *self = context;
    for (size_t i = s_find(self, &chunk->id);
         i < self->count && rmt_id_equal(&self->ids[self->order[i]], &chunk->id); i++) {
        const size_t index = self->order[i];
        const size_t size = self->offsets[index + 1] - self->offsets[index];
        if (size != chunk->plain_size)
            return rmt_fail(error, RMT_E_CORRUPT,
                            "a chunk has %u bytes, and its file says %zu",
                            chunk->plain_size, size);
        memcpy(self->data + self->offsets[index], plain, size);
    }
    return 0;
}

static int
s_send(rmt_window_t *self, rmt_error_t *error)
{
    size_t mark = 0;
    for (size_t i = 0; i <= self->count; i++) {
        for (; mark < self->mark_count && self->marks[mark].before == i; mark++)
            if (rmt_pipe_send(self->pipe, RMT_PIPE_ENTRY,
                              self->entries + self->marks[mark].offset,
                              self->marks[mark].size, error) == -1)
                return -1;
        if (i < self->count &&
            rmt_pipe_send(self->pipe, RMT_PIPE_DATA, self->data + self->offsets[i],
                          self->offsets[i + 1] - self->offsets[i], error) == -1)
            return -1;
    }
    return 0;
}

int
rmt_window_flush(rmt_window_t *self, rmt_error_t *error)
{
    for (size_t i = 0; i < self->count; i++)
        self->order[i] = (uint32_t) i;
    qsort_r(self->order, self->count, sizeof *self->order, s_compare, self);
    if (self->count &&
        rmt_supply_get(self->supply, self->ids, self->count, s_take, self, error) == -1)
        return -1;
    if (s_send(self, error) == -1)
        return -1;
    self->count = self->mark_count = self->entries_used = 0;
    return 0;
}

static void
s_add_mark(rmt_window_t *self, size_t offset)
{
    rmt_grow(&self->marks, &self->mark_room, self->mark_count + 1);
    self->marks[self->mark_count++] = (mark_t){
        .before = self->count, .offset = offset, .size = self->entries_used - offset};
}

int
rmt_window_add(rmt_window_t *self, const rmt_entry_t *entry, rmt_error_t *error)
{
    if (self->entries_used > ENTRIES_SIZE_MAX && rmt_window_flush(self, error) == -1)
        return -1;
    const size_t offset = self->entries_used;
    rmt_entry_encode(entry, &self->entries, &self->entries_used, &self->entries_room);
    s_add_mark(self, offset);
    for (size_t i = 0; i < entry->chunk_count; i++) {
        const uint32_t size = entry->chunk_sizes[i];
        if ((self->count == CHUNKS_MAX ||
             self->offsets[self->count] + size > RMT_WINDOW_SIZE) &&
            rmt_window_flush(self, error) == -1)
            return -1;
        self->ids[self->count] = entry->chunks[i];
        self->offsets[self->count + 1] = self->offsets[self->count] + size;
        self->count++;
    }
    return 0;
}
