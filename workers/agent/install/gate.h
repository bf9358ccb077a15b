// fence - the plan that this start of a target has prepared, and its highest GO.
//
// House style keeps state in one thread. The tasks of prepare and of write run in two,
// and neither owns the promises of the machine; so one lock, inside this class.
#pragma once

#include <stdint.h>
#include "base/rmt_error.h"
#include "crypto/rmt_id.h"
#include "crypto/rmt_key.h"

typedef struct rmt_fence rmt_fence_t;

// Compared in this order.
typedef struct {
    uint32_t era;
    uint64_t epoch;
    uint32_t attempt;
} rmt_fence_token_t;

rmt_fence_t *rmt_fence_new(void);
void rmt_fence_destroy(rmt_fence_t **self_p);

// Remember a plan as the one that may be carried out, in place of any before, and make
// a key for its first boot; the same plan again has the same key. 0, or -1: UNSUPPORTED.
int rmt_fence_prepare(rmt_fence_t *self, const rmt_id_t *plan, rmt_key_t *key_out,
                      rmt_error_t *error);

// May this plan be carried out under this token? Then the token is the highest seen.
// 0, or -1: FENCED.
int rmt_fence_go(rmt_fence_t *self, const rmt_id_t *plan, const rmt_fence_token_t *token,
                 rmt_key_t *key_out, rmt_error_t *error);
