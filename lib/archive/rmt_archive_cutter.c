#include "archive/rmt_archive_cutter.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "store/rmt_chunker.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_SIZE ((size_t) 4 * 1024 * 1024)

struct rmt_archive_cutter {
    uint8_t *buffer; // [BUFFER_SIZE]
    void *room;      // [RMT_CHUNK_STORED_MAX]
    rmt_id_t *ids;
    uint32_t *sizes;
    size_t count, place_count;
};

rmt_archive_cutter_t *
rmt_archive_cutter_new(void)
{
    rmt_archive_cutter_t *self = calloc(1, sizeof *self);
    assert(self);
    self->buffer = malloc(BUFFER_SIZE);
    self->room = malloc(RMT_CHUNK_STORED_MAX);
    assert(self->buffer && self->room);
    return self;
}

void
rmt_archive_cutter_destroy(rmt_archive_cutter_t **self_p)
{
    rmt_archive_cutter_t *self = *self_p;
    if (!self)
        return;
    free(self->buffer);
    free(self->room);
    free(self->ids);
    free(self->sizes);
    free(self);
    *self_p = NULL;
}

static int
s_emit(rmt_archive_cutter_t *self, const uint8_t *data, size_t size,
       rmt_chunk_sink_fn *sink, void *context, rmt_error_t *error)
{
    size_t place_count = self->place_count; // Of both
    rmt_grow(&self->ids, &place_count, self->count + 1);
    rmt_grow(&self->sizes, &self->place_count, self->count + 1);
    rmt_chunk_t chunk;
    rmt_chunk_make(&chunk, data, size, self->room);
    self->ids[self->count] = chunk.id;
    self->sizes[self->count++] = chunk.plain_size;
    return sink(context, &chunk, error);
}

int
rmt_archive_cutter_run(rmt_archive_cutter_t *self, rmt_archive_reader_t *reader,
                       rmt_entry_t *entry, rmt_chunk_sink_fn *sink, void *context,
                       rmt_error_t *error)
{
    size_t used = 0;
    self->count = 0;
    for (bool is_end = false; !is_end;) {
        size_t got = 0, at = 0;
        const size_t wanted = BUFFER_SIZE - used;
        if (rmt_archive_reader_read(reader, self->buffer + used, wanted, &got, error) ==
            -1)
            return -1;
        used += got;
        is_end = got < wanted;
        while (at < used && (is_end || used - at >= RMT_CUT_FILE.max)) {
            const size_t size =
                rmt_chunker_cut(&RMT_CUT_FILE, self->buffer + at, used - at);
            if (s_emit(self, self->buffer + at, size, sink, context, error) == -1)
                return -1;
            at += size;
        }
        memmove(self->buffer, self->buffer + at, used - at);
        used -= at;
    }
    entry->chunks = self->ids;
    entry->chunk_sizes = self->sizes;
    entry->chunk_count = self->count;
    return 0;
}
