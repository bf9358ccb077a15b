#include "store/rmt_pending.h"
#include "base/rmt_grow.h"
#include "base/rmt_map.h"

#include <assert.h>
#include <stdlib.h>

struct rmt_pending {
    rmt_slot_t *slots;
    size_t space;
    rmt_map_t map;
};

rmt_pending_t *
rmt_pending_new(void)
{
    rmt_pending_t *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    return self;
}

void
rmt_pending_destroy(rmt_pending_t **self_p)
{
    rmt_pending_t *self = *self_p;
    if (!self)
        return;
    rmt_map_clear(&self->map);
    free(self->slots);
    free(self);
    *self_p = NULL;
}

static bool
s_has_key(const void *slots, size_t number, const void *id)
{
    return rmt_id_equal(&((const rmt_slot_t *) slots)[number].id, id);
}

const rmt_slot_t *
rmt_pending_find(const rmt_pending_t *self, const rmt_id_t *id)
{
    const size_t number =
        rmt_map_find(&self->map, rmt_id_hash(id), s_has_key, self->slots, id);
    return number == RMT_MAP_NONE ? NULL : &self->slots[number];
}

void
rmt_pending_add(rmt_pending_t *self, const rmt_slot_t *slot)
{
    assert(!rmt_pending_find(self, &slot->id));
    rmt_grow(&self->slots, &self->space, self->map.count + 1);
    self->slots[self->map.count] = *slot;
    rmt_map_add(&self->map, rmt_id_hash(&slot->id));
}

size_t
rmt_pending_count(const rmt_pending_t *self)
{
    return self->map.count;
}

rmt_slot_t *
rmt_pending_slots(rmt_pending_t *self)
{
    return self->slots;
}

void
rmt_pending_clear(rmt_pending_t *self)
{
    rmt_map_empty(&self->map);
}
