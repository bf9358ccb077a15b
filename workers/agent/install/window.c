#include "agent/install/window.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"

#include <assert.h>
#include <string.h>

#define CHUNKS_MAX ((size_t) 16384)
#define ENTRIES_SIZE_MAX ((size_t) 4 * 1024 * 1024)

typedef struct {
    uint64_t before;     // Goes before the chunk with this number
    size_t offset, size; // In entries
} mark_t;

typedef struct {
    rmt_id_t id;
    uint32_t size; // Plain
} piece_t;

struct rmt_window {
    rmt_supply_t *supply;
    rmt_pipe_t *pipe;
    uint8_t *entries; // Encoded, one behind the other
    size_t entries_used, entries_room;
    mark_t *marks; // Of entries; those before mark_at were sent
    size_t mark_at, mark_count, mark_room;
    piece_t *pieces;      // [CHUNKS_MAX], a ring
    uint64_t sent, added; // Chunks
    size_t waiting;       // Plain bytes of those between
    uint8_t *plain;       // RMT_CHUNK_PLAIN_MAX
};

rmt_window_t *
rmt_window_new(rmt_supply_t *supply, rmt_pipe_t *pipe)
{
    rmt_window_t *self = calloc(1, sizeof *self);
    assert(self);
    self->supply = supply;
    self->pipe = pipe;
    self->pieces = calloc(CHUNKS_MAX, sizeof *self->pieces);
    self->plain = malloc(RMT_CHUNK_PLAIN_MAX);
    assert(self->pieces && self->plain);
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
    free(self->pieces);
    free(self->plain);
    free(self);
    *self_p = NULL;
}

// The entries that stand before the next chunk.
static int
s_send_entries(rmt_window_t *self, rmt_error_t *error)
{
    for (; self->mark_at < self->mark_count; self->mark_at++) {
        const mark_t *mark = &self->marks[self->mark_at];
        if (mark->before > self->sent)
            return 0;
        if (rmt_pipe_send(self->pipe, RMT_PIPE_ENTRY, self->entries + mark->offset,
                          mark->size, error) == -1)
            return -1;
    }
    self->mark_at = self->mark_count = self->entries_used = 0;
    return 0;
}

static int
s_send_chunk(rmt_window_t *self, rmt_error_t *error)
{
    if (s_send_entries(self, error) == -1)
        return -1;
    const piece_t *piece = &self->pieces[self->sent % CHUNKS_MAX];
    size_t size;
    if (rmt_supply_read_contents(self->supply, &piece->id, self->plain, &size, error) ==
        -1)
        return -1;
    if (size != piece->size)
        return rmt_fail(error, RMT_E_CORRUPT,
                        "a chunk has %zu bytes, and its file says %u", size, piece->size);
    if (rmt_pipe_send(self->pipe, RMT_PIPE_DATA, self->plain, size, error) == -1)
        return -1;
    self->waiting -= piece->size;
    self->sent++;
    return 0;
}

int
rmt_window_flush(rmt_window_t *self, rmt_error_t *error)
{
    while (self->sent < self->added)
        if (s_send_chunk(self, error) == -1)
            return -1;
    return s_send_entries(self, error);
}

static void
s_add_mark(rmt_window_t *self, size_t offset)
{
    rmt_grow(&self->marks, &self->mark_room, self->mark_count + 1);
    self->marks[self->mark_count++] = (mark_t){
        .before = self->added, .offset = offset, .size = self->entries_used - offset};
}

// Forget the entries that were sent; when these are few, send all first.
static int
s_make_room(rmt_window_t *self, rmt_error_t *error)
{
    if (self->mark_at == self->mark_count ||
        self->marks[self->mark_at].offset < ENTRIES_SIZE_MAX / 2)
        return rmt_window_flush(self, error);
    const size_t gone = self->marks[self->mark_at].offset;
    self->mark_count -= self->mark_at;
    self->entries_used -= gone;
    memmove(self->entries, self->entries + gone, self->entries_used);
    memmove(self->marks, self->marks + self->mark_at,
            self->mark_count * sizeof *self->marks);
    self->mark_at = 0;
    for (size_t i = 0; i < self->mark_count; i++)
        self->marks[i].offset -= gone;
    return 0;
}

int
rmt_window_add(rmt_window_t *self, const rmt_entry_t *entry, rmt_error_t *error)
{
    if (self->entries_used > ENTRIES_SIZE_MAX && s_make_room(self, error) == -1)
        return -1;
    const size_t offset = self->entries_used;
    rmt_entry_encode(entry, &self->entries, &self->entries_used, &self->entries_room);
    s_add_mark(self, offset);
    for (size_t i = 0; i < entry->chunk_count; i++) {
        const uint32_t size = entry->chunk_sizes[i];
        while (self->sent < self->added && (self->added - self->sent == CHUNKS_MAX ||
                                            self->waiting + size > RMT_WINDOW_SIZE))
            if (s_send_chunk(self, error) == -1)
                return -1;
        self->pieces[self->added % CHUNKS_MAX] =
            (piece_t){.id = entry->chunks[i], .size = size};
        self->waiting += size;
        self->added++;
        rmt_supply_expect_contents(self->supply, &entry->chunks[i], size);
    }
    return 0;
}
