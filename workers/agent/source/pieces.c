#include "agent/source/pieces.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <stdlib.h>

char *
rmt_pieces_put(const void *data, size_t size, const rmt_cut_t *cut,
               rmt_pieces_put_fn *put, void *context, rmt_error_t *error)
{
    rmt_auto_ptr room = malloc(RMT_CHUNK_STORED_MAX);
    rmt_auto_str ids = rmt_text("%s", "");
    assert(room);
    for (size_t at = 0, length; at < size; at += length) {
        const char *piece = (const char *) data + at;
        const size_t left = size - at;
        rmt_chunk_t chunk;
        char text[RMT_ID_TEXT_SIZE];
        length = cut ? rmt_chunker_cut(cut, piece, left)
                     : (left < RMT_CHUNK_PLAIN_MAX ? left : RMT_CHUNK_PLAIN_MAX);
        rmt_chunk_make(&chunk, piece, length, room);
        if (put(context, &chunk, error) == -1)
            return NULL;
        char *longer =
            rmt_text("%s%s%s", ids, *ids ? " " : "", rmt_id_text(&chunk.id, text));
        free(ids);
        ids = longer;
    }
    return rmt_take(&ids);
}
