// rmt_idset - a growing set of ids, some 50 bytes each.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "crypto/rmt_id.h"

typedef struct rmt_idset rmt_idset_t;

rmt_idset_t *rmt_idset_new(void);
void rmt_idset_destroy(rmt_idset_t **self_p);
// True when it was not there before.
bool rmt_idset_add(rmt_idset_t *self, const rmt_id_t *id);
bool rmt_idset_has(const rmt_idset_t *self, const rmt_id_t *id);
