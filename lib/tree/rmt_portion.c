#include "tree/rmt_portion.h"
#include "base/rmt_grow.h"
#include "store/rmt_chunker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

rmt_portion_t *
rmt_portion_new(void)
{
    rmt_portion_t *self = calloc(1, sizeof *self);
    assert(self);
    self->is_last = true;
    return self;
}

void
rmt_portion_destroy(rmt_portion_t **self_p)
{
    rmt_portion_t *self = *self_p;
    if (!self)
        return;
    if (self->is_last)
        for (size_t i = 0; i < self->item_count; i++)
            rmt_capture_item_destroy(&self->items[i]);
    free(self->stored);
    free(self->chunks);
    free(self);
    *self_p = NULL;
}

bool
rmt_portion_add(rmt_portion_t *self, rmt_capture_item_t **item_p)
{
    rmt_capture_item_t *item = *item_p;
    uint64_t size = 0;
    if (rmt_capture_item_has_contents(item))
        size = (uint64_t) item->status.st_size;
    const bool is_large = size > RMT_PORTION_SIZE_MAX;
    const rmt_capture_item_t *last =
        self->item_count ? self->items[self->item_count - 1] : NULL;
    const bool is_elsewhere = !last || last->parent != item->parent;
    const size_t dirs = (item->dir ? 1u : 0u) + (is_elsewhere ? 1u : 0u);
    if (last &&
        (is_large || self->is_piece || self->item_count == RMT_PORTION_ITEMS_MAX ||
         self->dir_count + dirs > RMT_PORTION_DIRS_MAX ||
         self->room + size > RMT_PORTION_SIZE_MAX ||
         self->path_size + item->entry.path_size > RMT_PORTION_SIZE_MAX))
        return false;
    self->path_size += item->entry.path_size;
    self->dir_count += dirs;
    self->is_piece = is_large;
    if (is_large && size > RMT_PORTION_PIECE_SIZE)
        size = RMT_PORTION_PIECE_SIZE;
    self->room += (size_t) size;
    self->items[self->item_count++] = item;
    *item_p = NULL;
    return true;
}

// ---- Reading

static void
s_add_chunk(rmt_portion_t *self, const uint8_t *data, size_t size)
{
    rmt_grow(&self->chunks, &self->chunk_room, self->chunk_count + 1);
    // The plain bytes for now; packing turns them into a chunk.
    self->chunks[self->chunk_count++] =
        (rmt_chunk_t){.plain_size = (uint32_t) size, .data = data};
}

// Cut what is in the buffer; without the end of the contents, as far as is certain: what
// reaches the end of the buffer might have been cut later. Returns the bytes that were
// cut.
static size_t
s_cut(rmt_portion_t *self, const uint8_t *data, size_t size, bool is_end)
{
    size_t at = 0;
    while (at < size) {
        const size_t left = size - at;
        const bool is_whole =
            is_end && at == 0 && left <= RMT_WHOLE_FILE_MAX && self->position == 0;
        const size_t cut =
            is_whole ? left : rmt_chunker_cut(&RMT_CUT_FILE, data + at, left);
        if (!is_end && cut == left && left < RMT_CUT_FILE.max)
            break;
        s_add_chunk(self, data + at, cut);
        at += cut;
    }
    return at;
}

// A small file: all of it, as often as it takes, into what is left of the buffer.
static size_t
s_read_small(rmt_capture_item_t *item, uint8_t *data, size_t room)
{
    for (;;) {
        const size_t wanted = item->data_size < room ? (size_t) item->data_size : room;
        const size_t done = wanted ? rmt_capture_item_read(item, 0, data, wanted) : 0;
        if (item->is_unreadable)
            return 0;
        if (!rmt_capture_item_again(item, done))
            return item->is_unreadable || item->is_vanished ? 0 : done;
    }
}

static void
s_prepare_small(rmt_portion_t *self, uint8_t *plain)
{
    assert(self->room <= RMT_PORTION_PIECE_SIZE);
    size_t used = 0;
    for (size_t i = 0; i < self->item_count; i++) {
        rmt_capture_item_t *item = self->items[i];
        const size_t before = self->chunk_count;
        rmt_capture_item_open(item);
        if (item->fd != -1) {
            uint8_t *data = plain + used;
            // Not more than was planned: each file after it must find its place.
            const size_t room = (size_t) item->status.st_size;
            const size_t size = s_read_small(item, data, room);
            s_cut(self, data, size, true);
            used += size;
        }
        self->chunk_counts[i] = self->chunk_count - before;
    }
}

static rmt_portion_t *
s_next_piece(rmt_portion_t *self, uint64_t position, bool is_restart)
{
    rmt_portion_t *next = rmt_portion_new();
    rmt_capture_item_t *item = self->items[0];
    next->items[0] = item;
    next->item_count = 1;
    next->is_piece = true;
    next->is_restart = is_restart;
    next->position = position;
    const uint64_t left = item->data_size - position;
    next->room = left < RMT_PORTION_PIECE_SIZE ? (size_t) left : RMT_PORTION_PIECE_SIZE;
    self->is_last = false;
    return next;
}

static rmt_portion_t *
s_prepare_piece(rmt_portion_t *self, uint8_t *plain)
{
    rmt_capture_item_t *item = self->items[0];
    if (item->fd == -1) {
        rmt_capture_item_open(item);
        if (item->fd == -1)
            return NULL;
    }
    const uint64_t left = item->data_size - self->position;
    size_t wanted = self->room;
    if (left < wanted)
        wanted = (size_t) left;
    assert(wanted <= RMT_PORTION_PIECE_SIZE);
    const size_t size =
        wanted ? rmt_capture_item_read(item, self->position, plain, wanted) : 0;
    if (item->is_unreadable)
        return NULL;
    const bool is_end = size < wanted || wanted == left;
    const uint64_t end = self->position + s_cut(self, plain, size, is_end);
    self->chunk_counts[0] = self->chunk_count;
    if (!is_end)
        return s_next_piece(self, end, false);
    return rmt_capture_item_again(item, end) ? s_next_piece(self, 0, true) : NULL;
}

rmt_portion_t *
rmt_portion_prepare(rmt_portion_t *self, uint8_t *plain)
{
    if (self->is_piece)
        return s_prepare_piece(self, plain);
    s_prepare_small(self, plain);
    return NULL;
}

// Many portions wait to be sent, so they hold no more than what is sent of them.
static void
s_shrink(rmt_portion_t *self, size_t size)
{
    self->stored = realloc(self->stored, size);
    assert(self->stored);
    const uint8_t *at = self->stored;
    for (size_t i = 0; i < self->chunk_count; i++) {
        self->chunks[i].data = at;
        at += self->chunks[i].size;
    }
}

void
rmt_portion_pack(rmt_portion_t *self)
{
    size_t size = 0;
    for (size_t i = 0; i < self->chunk_count; i++)
        size += self->chunks[i].plain_size;
    if (size == 0)
        return;
    // The stored form is never longer.
    self->stored = malloc(size);
    assert(self->stored);
    uint8_t *at = self->stored;
    for (size_t i = 0; i < self->chunk_count; i++) {
        rmt_chunk_t *chunk = &self->chunks[i];
        const void *plain = chunk->data;
        rmt_chunk_make(chunk, plain, chunk->plain_size, at);
        if (chunk->data == plain)
            memcpy(at, plain, chunk->size);
        at += chunk->size;
    }
    s_shrink(self, (size_t) (at - self->stored));
}
