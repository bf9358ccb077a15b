#include "store/rmt_idset.h"
#include "base/rmt_bytes.h"

#include <stdlib.h>

#define PLACES_MIN 1024

// Open addressing; an id with algorithm 0 is a free place, and at most half are taken.
struct rmt_idset {
    rmt_id_t *places;
    size_t place_count, count; // A power of two
};

static rmt_id_t *
s_new_places(size_t count)
{
    rmt_id_t *places = calloc(count, sizeof *places);
    if (!places)
        abort();
    return places;
}

rmt_idset_t *
rmt_idset_new(void)
{
    rmt_idset_t *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    self->place_count = PLACES_MIN;
    self->places = s_new_places(PLACES_MIN);
    return self;
}

void
rmt_idset_destroy(rmt_idset_t **self_p)
{
    rmt_idset_t *self = *self_p;
    if (!self)
        return;
    free(self->places);
    free(self);
    *self_p = NULL;
}

// Where id is, or where it would go. Digests are random enough to be hashes.
static rmt_id_t *
s_place(const rmt_idset_t *self, const rmt_id_t *id)
{
    size_t at = (size_t) rmt_get64(id->bytes + 1) & (self->place_count - 1);
    while (self->places[at].bytes[0] && !rmt_id_equal(&self->places[at], id))
        at = (at + 1) & (self->place_count - 1);
    return &self->places[at];
}

static void
s_grow(rmt_idset_t *self)
{
    rmt_id_t *old = self->places;
    const size_t count = self->place_count;
    self->place_count *= 2;
    self->places = s_new_places(self->place_count);
    for (size_t i = 0; i < count; i++)
        if (old[i].bytes[0])
            *s_place(self, &old[i]) = old[i];
    free(old);
}

bool
rmt_idset_add(rmt_idset_t *self, const rmt_id_t *id)
{
    if ((self->count + 1) * 2 > self->place_count)
        s_grow(self);
    rmt_id_t *place = s_place(self, id);
    if (place->bytes[0])
        return false;
    *place = *id;
    self->count++;
    return true;
}

bool
rmt_idset_has(const rmt_idset_t *self, const rmt_id_t *id)
{
    return s_place(self, id)->bytes[0] != 0;
}

size_t
rmt_idset_count(const rmt_idset_t *self)
{
    return self->count;
}
