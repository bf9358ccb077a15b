// gate - lets a GO through when it names the plan that this life of a target prepared
// last, and when the gate has seen no higher fence.
//
// A life is a nonce. It begins with the process and ends when a write has ended, well or
// not, and its writer is gone: a job that finds another nonce than that of its GO knows
// that no writer is left, without a restart of the machine ([1.47]).
//
// The tasks of prepare and of write run in two threads, and both use the gate, so it has
// a lock of its own.
#pragma once

#include <stdint.h>
#include "base/rmt_error.h"
#include "crypto/rmt_id.h"
#include "crypto/rmt_key.h"
#include "wire/rmt_msg.h"

typedef struct rmt_gate rmt_gate_t;

// An order that was prepared: what names it in this life, and the key of its first boot.
typedef struct {
    rmt_id_t plan;
    uint8_t nonce[RMT_UID_SIZE];
    rmt_key_t key;
} rmt_gate_plan_t;

// Fences are compared by era, then epoch, then attempt.
typedef struct {
    uint32_t era;
    uint64_t epoch;
    uint32_t attempt;
} rmt_fence_t;

// What a GO says. Borrowed.
typedef struct {
    const void *order;
    size_t size;
    const char *plan, *nonce; // As text
    rmt_fence_t fence;
} rmt_go_t;

// nonce: of the first life.
rmt_gate_t *rmt_gate_new(const uint8_t nonce[RMT_UID_SIZE]);
void rmt_gate_destroy(rmt_gate_t **self_p);

// Remember an order in place of the one before, and make a key for its first boot; the
// same order again in the same life has the same key. The caller wipes the key.
// 0, or -1: UNSUPPORTED.
int rmt_gate_prepare(rmt_gate_t *self, const void *order, size_t size,
                     rmt_gate_plan_t *plan_out, rmt_error_t *error);

// Let a GO through, and remember its fence as the highest. The caller wipes the key.
// 0, or -1: FENCED (another life, another plan, or a lower fence).
int rmt_gate_go(rmt_gate_t *self, const rmt_go_t *go, rmt_key_t *key_out,
                rmt_error_t *error);

// Begin a new life: what was prepared is void, and the highest fence stays. Only while no
// writer of this process can live.
void rmt_gate_renew(rmt_gate_t *self);
// The nonce of this life.
void rmt_gate_life(rmt_gate_t *self, uint8_t nonce_out[RMT_UID_SIZE]);
