// rmt_pending - the set of slots that were put and are in no index yet. Private to
// lib/store.
#pragma once

#include "store/rmt_slot.h"

typedef struct rmt_pending rmt_pending_t;

rmt_pending_t *rmt_pending_new(void);
void rmt_pending_destroy(rmt_pending_t **self_p);
void rmt_pending_add(rmt_pending_t *self, const rmt_slot_t *slot);
// NULL when id is not there. Valid until the next add.
const rmt_slot_t *rmt_pending_find(const rmt_pending_t *self, const rmt_id_t *id);
size_t rmt_pending_count(const rmt_pending_t *self);
// All slots, for the caller to sort; the set is to be cleared afterwards.
rmt_slot_t *rmt_pending_slots(rmt_pending_t *self);
void rmt_pending_clear(rmt_pending_t *self);
