#include "mount/rmt_chunk_cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BUCKET_COUNT                                                                     \
    4096 // A power of two; 64 MiB are some 512 chunks, or more small ones

typedef struct kept kept_t;
struct kept {
    kept_t *newer, *older; // By when it was asked for
    kept_t *next;          // Of its bucket
    rmt_id_t id;
    size_t size;
    uint8_t plain[];
};

// What keeping a chunk takes: small ones are many.
static size_t
s_cost(size_t size)
{
    return sizeof(kept_t) + size;
}

struct rmt_chunk_cache {
    size_t limit, size;
    kept_t *newest, *oldest;
    kept_t *buckets[BUCKET_COUNT];
};

rmt_chunk_cache_t *
rmt_chunk_cache_new(size_t size)
{
    rmt_chunk_cache_t *self = calloc(1, sizeof *self);
    assert(self);
    self->limit = size;
    return self;
}

static kept_t **
s_bucket(const rmt_chunk_cache_t *self, const rmt_id_t *id)
{
    return (kept_t **) &self->buckets[rmt_id_hash(id) % BUCKET_COUNT];
}

static void
s_unlink(rmt_chunk_cache_t *self, kept_t *kept)
{
    *(kept->newer ? &kept->newer->older : &self->newest) = kept->older;
    *(kept->older ? &kept->older->newer : &self->oldest) = kept->newer;
}

static void
s_link_newest(rmt_chunk_cache_t *self, kept_t *kept)
{
    kept->newer = NULL;
    kept->older = self->newest;
    *(self->newest ? &self->newest->newer : &self->oldest) = kept;
    self->newest = kept;
}

static void
s_drop_oldest(rmt_chunk_cache_t *self)
{
    kept_t *kept = self->oldest;
    kept_t **slot = s_bucket(self, &kept->id);
    while (*slot != kept)
        slot = &(*slot)->next;
    *slot = kept->next;
    s_unlink(self, kept);
    self->size -= s_cost(kept->size);
    free(kept);
}

void
rmt_chunk_cache_destroy(rmt_chunk_cache_t **self_p)
{
    rmt_chunk_cache_t *self = *self_p;
    if (!self)
        return;
    while (self->oldest)
        s_drop_oldest(self);
    free(self);
    *self_p = NULL;
}

static kept_t *
s_find(const rmt_chunk_cache_t *self, const rmt_id_t *id)
{
    kept_t *kept = *s_bucket(self, id);
    while (kept && !rmt_id_equal(&kept->id, id))
        kept = kept->next;
    return kept;
}

void
rmt_chunk_cache_put(rmt_chunk_cache_t *self, const rmt_id_t *id, const void *plain,
                    size_t size)
{
    const size_t cost = s_cost(size);
    if (cost > self->limit || s_find(self, id))
        return;
    while (self->size > self->limit - cost)
        s_drop_oldest(self);
    kept_t *kept = malloc(sizeof *kept + size);
    assert(kept);
    kept->id = *id;
    kept->size = size;
    memcpy(kept->plain, plain, size);
    kept_t **slot = s_bucket(self, id);
    kept->next = *slot;
    *slot = kept;
    s_link_newest(self, kept);
    self->size += cost;
}

const void *
rmt_chunk_cache_get(rmt_chunk_cache_t *self, const rmt_id_t *id, size_t *size_out)
{
    kept_t *kept = s_find(self, id);
    if (!kept)
        return NULL;
    s_unlink(self, kept);
    s_link_newest(self, kept);
    *size_out = kept->size;
    return kept->plain;
}

bool
rmt_chunk_cache_has(const rmt_chunk_cache_t *self, const rmt_id_t *id)
{
    return s_find(self, id) != NULL;
}

size_t
rmt_chunk_cache_size(const rmt_chunk_cache_t *self)
{
    return self->size;
}
