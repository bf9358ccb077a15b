// gate - lets a GO through when it names the plan that this start of a target prepared
// last, and when the gate has seen no higher fence.
//
// The tasks of prepare and of write run in two threads, and both use the gate, so it has
// a lock of its own.
#pragma once

#include <stdint.h>
#include "base/rmt_error.h"
#include "crypto/rmt_id.h"
#include "crypto/rmt_key.h"

typedef struct rmt_gate rmt_gate_t;

// Fences are compared by era, then epoch, then attempt.
typedef struct {
    uint32_t era;
    uint64_t epoch;
    uint32_t attempt;
} rmt_fence_t;

rmt_gate_t *rmt_gate_new(void);
void rmt_gate_destroy(rmt_gate_t **self_p);

// Remember a plan in place of the one before, and make a key for its first boot; the same
// plan again has the same key. 0, or -1: UNSUPPORTED.
int rmt_gate_prepare(rmt_gate_t *self, const rmt_id_t *plan, rmt_key_t *key_out,
                     rmt_error_t *error);

// Let a GO with this plan and fence through, and remember its fence as the highest. 0, or
// -1: FENCED (another plan, or a lower fence).
int rmt_gate_go(rmt_gate_t *self, const rmt_id_t *plan, const rmt_fence_t *fence,
                rmt_key_t *key_out, rmt_error_t *error);
