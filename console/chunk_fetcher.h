// chunk_fetcher - a thread that fetches the chunks of an image that it is told to, so
// that its owner never waits.
#pragma once

#include "console/image.h"

// Borrows image, and the call that it was opened by, until the actor ends. Caller owns
// the result.
zactor_t *chunk_fetcher_new(image_t *image);

// Ask for chunks.
void chunk_fetcher_want(zactor_t *self, const rmt_id_t *ids, size_t count);

typedef struct {
    // A chunk, checked against its id.
    void (*chunk)(void *context, const rmt_id_t *id, const void *plain, size_t size);
    // These do not come: no holder has them (NOT_FOUND), or all have them damaged
    // (CORRUPT); all else may be other when it is asked for again.
    void (*failure)(void *context, const rmt_id_t *ids, size_t count,
                    const rmt_error_t *why);
} chunk_fetcher_told_t;

// Tell what has come meanwhile; never waits.
void chunk_fetcher_take(zactor_t *self, const chunk_fetcher_told_t *told, void *context);
