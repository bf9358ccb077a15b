#include "store/rmt_pending.h"
#include "base/rmt_grow.h"

#include <assert.h>
#include <stdlib.h>

#define PLACES_MIN 4096

// Open addressing: places hold the number of a slot + 1, and at most half are taken.
struct rmt_pending {
    rmt_slot_t *slots;
    size_t count, room;
    uint32_t *places;
    size_t place_count; // A power of two
};

static uint32_t *
s_new_places(size_t count)
{
    uint32_t *places = calloc(count, sizeof *places);
    if (!places)
        abort();
    return places;
}

rmt_pending_t *
rmt_pending_new(void)
{
    rmt_pending_t *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    self->place_count = PLACES_MIN;
    self->places = s_new_places(PLACES_MIN);
    return self;
}

void
rmt_pending_destroy(rmt_pending_t **self_p)
{
    rmt_pending_t *self = *self_p;
    if (!self)
        return;
    free(self->slots);
    free(self->places);
    free(self);
    *self_p = NULL;
}

// The place where id is, or where it would go. Digests are random enough to be hashes.
static uint32_t *
s_place(const rmt_pending_t *self, const rmt_id_t *id)
{
    size_t at = (size_t) rmt_get64(id->bytes + 1) & (self->place_count - 1);
    for (;; at = (at + 1) & (self->place_count - 1)) {
        uint32_t *place = &self->places[at];
        if (*place == 0 ||
            memcmp(self->slots[*place - 1].id.bytes, id->bytes, RMT_ID_SIZE) == 0)
            return place;
    }
}

static void
s_grow(rmt_pending_t *self)
{
    free(self->places);
    self->place_count *= 2;
    self->places = s_new_places(self->place_count);
    for (size_t i = 0; i < self->count; i++)
        *s_place(self, &self->slots[i].id) = (uint32_t) (i + 1);
}

void
rmt_pending_add(rmt_pending_t *self, const rmt_slot_t *slot)
{
    assert(self->count < UINT32_MAX / 2);
    rmt_grow(&self->slots, &self->room, self->count + 1);
    if ((self->count + 1) * 2 > self->place_count)
        s_grow(self);
    uint32_t *place = s_place(self, &slot->id);
    assert(*place == 0);
    self->slots[self->count++] = *slot;
    *place = (uint32_t) self->count;
}

const rmt_slot_t *
rmt_pending_find(const rmt_pending_t *self, const rmt_id_t *id)
{
    const uint32_t place = *s_place(self, id);
    return place ? &self->slots[place - 1] : NULL;
}

size_t
rmt_pending_count(const rmt_pending_t *self)
{
    return self->count;
}

rmt_slot_t *
rmt_pending_slots(rmt_pending_t *self)
{
    return self->slots;
}

void
rmt_pending_clear(rmt_pending_t *self)
{
    self->count = 0;
    memset(self->places, 0, self->place_count * sizeof *self->places);
}
