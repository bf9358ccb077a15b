// rmt_intake - chunks in an order that is known before, from relays and from the engine.
//
// At each window it chooses who is asked: the nearest peer ahead (rmt_chooser), if it has
// answered by the time that the window begins, or the engine, which has everything. A
// peer that fails is left, and the engine is asked for the rest of the window. An
// instance belongs to one thread.
#pragma once

#include "exchange/rmt_fetch.h"
#include "exchange/rmt_peering.h"

typedef struct rmt_intake rmt_intake_t;

// Borrows both; relay NULL: all comes from the engine. Caller owns the result.
rmt_intake_t *rmt_intake_new(rmt_peering_t *relay, rmt_fetch_t *engine);
void rmt_intake_destroy(rmt_intake_t **self_p);

// For signs of life and cancelling while a call waits, as rmt_fetch.
void rmt_intake_set_alive(rmt_intake_t *self, rmt_link_alive_fn *alive, void *context);

// Say what comes after what was said before, with its plain size.
void rmt_intake_expect(rmt_intake_t *self, const rmt_id_t *id, uint32_t size);
// 0, or -1: as rmt_fetch_read; what was expected stays.
int rmt_intake_read(rmt_intake_t *self, const rmt_id_t *id, void *plain_out,
                    size_t *size_out, rmt_error_t *error);

// Chunks that came from peers.
uint64_t rmt_intake_relayed(const rmt_intake_t *self);
