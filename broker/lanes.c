#include "broker/lanes.h"

#include <assert.h>
#include <czmq.h>
#include "base/rmt_auto.h"

typedef struct {
    size_t under_way;
    size_t size;          // Of those under way and those that wait
    rmt_unsent_t *unsent; // Answers
    zlist_t *waiting;     // Items
    bool is_admin;        // The octets of all keys do not have its own
} lane_t;

struct rmt_lanes {
    zhashx_t *lanes; // Key -> lane_t
    size_t size;     // Of all lanes but those of admins
};

static void
s_lane_destroy(void **item_p)
{
    lane_t *self = *item_p;
    if (self) {
        rmt_unsent_destroy(&self->unsent);
        zlist_destroy(&self->waiting);
        free(self);
        *item_p = NULL;
    }
}

rmt_lanes_t *
rmt_lanes_new(void)
{
    rmt_lanes_t *self = zmalloc(sizeof *self);
    self->lanes = zhashx_new();
    zhashx_set_destructor(self->lanes, s_lane_destroy);
    return self;
}

void
rmt_lanes_destroy(rmt_lanes_t **self_p)
{
    assert(self_p);
    rmt_lanes_t *self = *self_p;
    if (self) {
        zhashx_destroy(&self->lanes);
        free(self);
        *self_p = NULL;
    }
}

static lane_t *
s_require(rmt_lanes_t *self, const char *key)
{
    lane_t *lane = zhashx_lookup(self->lanes, key);
    if (!lane) {
        lane = zmalloc(sizeof *lane);
        lane->unsent = rmt_unsent_new();
        lane->waiting = zlist_new();
        zhashx_insert(self->lanes, key, lane);
    }
    return lane;
}

static bool
s_has_octets(const lane_t *lane, size_t size)
{
    return lane->size + rmt_unsent_size(lane->unsent) + size <= RMT_LANE_SIZE_MAX;
}

rmt_lane_t
rmt_lanes_enter(rmt_lanes_t *self, const char *key, size_t size, bool is_admin,
                void *item)
{
    assert(self && key && item);
    if (!is_admin && self->size + size > RMT_LANES_SIZE_MAX)
        return RMT_LANE_BUSY;
    lane_t *lane = s_require(self, key);
    const bool is_free = lane->under_way < RMT_LANE_UNDER_WAY_MAX;
    if (!s_has_octets(lane, size) ||
        (!is_free && zlist_size(lane->waiting) >= RMT_LANE_WAITING_MAX))
        return RMT_LANE_BUSY;
    lane->is_admin = is_admin;
    lane->size += size;
    if (!is_admin)
        self->size += size;
    if (!is_free) {
        zlist_append(lane->waiting, item);
        return RMT_LANE_WAIT;
    }
    lane->under_way++;
    return RMT_LANE_GO;
}

void *
rmt_lanes_leave(rmt_lanes_t *self, const char *key, size_t size)
{
    assert(self && key);
    lane_t *lane = zhashx_lookup(self->lanes, key);
    assert(lane && lane->under_way > 0 && lane->size >= size);
    lane->size -= size;
    if (!lane->is_admin) {
        assert(self->size >= size);
        self->size -= size;
    }
    void *next = zlist_pop(lane->waiting);
    if (!next)
        lane->under_way--;
    return next;
}

bool
rmt_lanes_is_full(rmt_lanes_t *self, const char *key)
{
    assert(self && key);
    const lane_t *lane = zhashx_lookup(self->lanes, key);
    return lane && !s_has_octets(lane, 0);
}

rmt_unsent_t *
rmt_lanes_unsent(rmt_lanes_t *self, const char *key)
{
    assert(self && key);
    return s_require(self, key)->unsent;
}

void
rmt_lanes_tick(rmt_lanes_t *self)
{
    assert(self);
    rmt_auto(zlistx) keys = zhashx_keys(self->lanes);
    for (const char *key = zlistx_first(keys); key; key = zlistx_next(keys)) {
        const lane_t *lane = zhashx_lookup(self->lanes, key);
        if (lane->under_way == 0 && rmt_unsent_size(lane->unsent) == 0)
            zhashx_delete(self->lanes, key);
    }
}
