#include "exchange/rmt_ring.h"
#include <assert.h>
#include <pthread.h>
#include <string.h>
#include "base/rmt_auto.h"

#define ENTRY_COST ((size_t) 192) // Of a chunk beside its bytes, about

typedef struct entry {
    rmt_id_t id;
    uint8_t codec;
    uint32_t plain_size, size;
    void *data;                  // NULL: on its way
    struct entry *older, *newer; // Of those that are here
} entry_t;

struct rmt_ring {
    pthread_mutex_t mutex;
    rmt_id_t image;
    size_t size, size_max;
    uint64_t position;
    bool is_stopped;
    zhashx_t *entries; // Id -> entry_t
    entry_t *oldest, *newest;
};

static size_t
s_hash(const void *id)
{
    size_t hash;
    memcpy(&hash, (const uint8_t *) id + 1, sizeof hash); // After the algorithm
    return hash;
}

static int
s_compare(const void *a, const void *b)
{
    return memcmp(a, b, RMT_ID_SIZE);
}

static void
s_entry_free(void **entry_p)
{
    entry_t *entry = *entry_p;
    *entry_p = NULL;
    free(entry->data);
    free(entry);
}

rmt_ring_t *
rmt_ring_new(const rmt_id_t *image, size_t bytes_max)
{
    rmt_ring_t *self = calloc(1, sizeof *self);
    assert(self);
    pthread_mutex_init(&self->mutex, NULL);
    self->image = *image;
    self->size_max = bytes_max;
    self->entries = zhashx_new();
    zhashx_set_key_duplicator(self->entries, NULL);
    zhashx_set_key_destructor(self->entries, NULL);
    zhashx_set_key_hasher(self->entries, s_hash);
    zhashx_set_key_comparator(self->entries, s_compare);
    zhashx_set_destructor(self->entries, s_entry_free);
    return self;
}

void
rmt_ring_destroy(rmt_ring_t **self_p)
{
    rmt_ring_t *self = rmt_take(self_p);
    if (!self)
        return;
    zhashx_destroy(&self->entries);
    pthread_mutex_destroy(&self->mutex);
    free(self);
}

const rmt_id_t *
rmt_ring_image(const rmt_ring_t *self)
{
    return &self->image;
}

// ---- The queue of those that are here

static void
s_unlink(rmt_ring_t *self, entry_t *entry)
{
    *(entry->older ? &entry->older->newer : &self->oldest) = entry->newer;
    *(entry->newer ? &entry->newer->older : &self->newest) = entry->older;
    self->size -= entry->size + ENTRY_COST;
}

static void
s_link(rmt_ring_t *self, entry_t *entry)
{
    entry->older = self->newest;
    entry->newer = NULL;
    *(self->newest ? &self->newest->newer : &self->oldest) = entry;
    self->newest = entry;
    self->size += entry->size + ENTRY_COST;
}

static void
s_shrink(rmt_ring_t *self)
{
    while (self->size > self->size_max) {
        entry_t *entry = self->oldest;
        s_unlink(self, entry);
        zhashx_delete(self->entries, &entry->id);
    }
}

static entry_t *
s_require(rmt_ring_t *self, const rmt_id_t *id)
{
    entry_t *entry = zhashx_lookup(self->entries, id);
    if (!entry) {
        entry = calloc(1, sizeof *entry);
        assert(entry);
        entry->id = *id;
        zhashx_insert(self->entries, &entry->id, entry);
    }
    return entry;
}

// ---- Calls

void
rmt_ring_expect(rmt_ring_t *self, const rmt_id_t *ids, size_t count)
{
    pthread_mutex_lock(&self->mutex);
    for (size_t i = 0; i < count && !self->is_stopped; i++)
        (void) s_require(self, &ids[i]);
    pthread_mutex_unlock(&self->mutex);
}

void
rmt_ring_put(rmt_ring_t *self, const rmt_chunk_t *chunk)
{
    void *data = malloc(chunk->size);
    assert(data);
    memcpy(data, chunk->data, chunk->size);
    pthread_mutex_lock(&self->mutex);
    self->position += chunk->plain_size;
    entry_t *entry = s_require(self, &chunk->id);
    if (entry->data)
        s_unlink(self, entry);
    free(entry->data);
    entry->data = data;
    entry->codec = chunk->codec;
    entry->plain_size = chunk->plain_size;
    entry->size = chunk->size;
    s_link(self, entry);
    s_shrink(self);
    pthread_mutex_unlock(&self->mutex);
}

void
rmt_ring_stop(rmt_ring_t *self)
{
    pthread_mutex_lock(&self->mutex);
    self->is_stopped = true;
    pthread_mutex_unlock(&self->mutex);
}

rmt_ring_state_t
rmt_ring_get(rmt_ring_t *self, const rmt_id_t *id, rmt_msg_t *msg)
{
    rmt_ring_state_t state = RMT_RING_ABSENT;
    pthread_mutex_lock(&self->mutex);
    const entry_t *entry = zhashx_lookup(self->entries, id);
    if (entry && entry->data) {
        msg->codec = entry->codec;
        msg->size = entry->plain_size;
        msg->payload = zframe_new(entry->data, entry->size);
        state = RMT_RING_HERE;
    } else if (entry && !self->is_stopped) {
        state = RMT_RING_COMING;
    }
    pthread_mutex_unlock(&self->mutex);
    return state;
}

uint64_t
rmt_ring_position(rmt_ring_t *self)
{
    pthread_mutex_lock(&self->mutex);
    const uint64_t position = self->position;
    pthread_mutex_unlock(&self->mutex);
    return position;
}

size_t
rmt_ring_size(rmt_ring_t *self)
{
    pthread_mutex_lock(&self->mutex);
    const size_t size = self->size;
    pthread_mutex_unlock(&self->mutex);
    return size;
}
