#include "store/rmt_idset.h"
#include "base/rmt_grow.h"
#include "base/rmt_map.h"

#include <stdlib.h>

struct rmt_idset {
    rmt_id_t *ids;
    size_t space;
    rmt_map_t map;
};

rmt_idset_t *
rmt_idset_new(void)
{
    rmt_idset_t *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    return self;
}

void
rmt_idset_destroy(rmt_idset_t **self_p)
{
    rmt_idset_t *self = *self_p;
    if (!self)
        return;
    rmt_map_clear(&self->map);
    free(self->ids);
    free(self);
    *self_p = NULL;
}

static bool
s_has_key(const void *ids, size_t number, const void *id)
{
    return rmt_id_equal((const rmt_id_t *) ids + number, id);
}

bool
rmt_idset_has(const rmt_idset_t *self, const rmt_id_t *id)
{
    return rmt_map_find(&self->map, rmt_id_hash(id), s_has_key, self->ids, id) !=
           RMT_MAP_NONE;
}

bool
rmt_idset_add(rmt_idset_t *self, const rmt_id_t *id)
{
    if (rmt_idset_has(self, id))
        return false;
    rmt_grow(&self->ids, &self->space, self->map.count + 1);
    self->ids[self->map.count] = *id;
    rmt_map_add(&self->map, rmt_id_hash(id));
    return true;
}
