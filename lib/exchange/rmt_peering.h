// rmt_peering - a target among the other targets of its job: what it gives and whom it
// asks.
//
// It keeps what it reads in a ring, gives that to the peers that the broker names, and
// knows which of them to ask (rmt_chooser). Chunks are held against their ids, so no peer
// need be trusted; all of it is a help, and without it the engine gives everything. Where
// it is not said otherwise, the functions are called by one thread.
#pragma once

#include "crypto/rmt_key.h"
#include "exchange/rmt_chooser.h"
#include "exchange/rmt_ring.h"
#include "exchange/rmt_serve.h"
#include "net/rmt_zap.h"

typedef struct rmt_peering rmt_peering_t;

typedef struct {
    const char *endpoint; // As rmt_serve
    const rmt_key_t *own; // Borrowed
    const rmt_id_t *image;
    rmt_zap_t *zap;            // Borrowed
    size_t ring_bytes;         // Of memory, at most
    rmt_serve_event_fn *event; // Or NULL; as rmt_serve, and "relay.used", "relay.left",
                               // "relay.lied" of peers that are asked
} rmt_peering_config_t;

// Listen. Caller owns the result. NULL: IO.
rmt_peering_t *rmt_peering_new(const rmt_peering_config_t *config, rmt_error_t *error);
void rmt_peering_destroy(rmt_peering_t **self_p);

// What this target tells the broker of itself: {port, ring, position, from (key of the
// peer that it reads from), lied (key of one that has sent wrong bytes)}.
void rmt_peering_tell(const rmt_peering_t *self, rmt_record_t *body);

// What the broker said: {rank} (NULL: as it was), and peers as rmt_chooser_learn: they
// may ask, and may be asked. Any thread may call it.
void rmt_peering_learn(rmt_peering_t *self, const rmt_record_t *body,
                       const rmt_records_t *peers);

// Nothing more will be read; what was read is given further.
void rmt_peering_stop(rmt_peering_t *self);

// ---- For rmt_intake

const rmt_key_t *rmt_peering_own(const rmt_peering_t *self);
rmt_ring_t *rmt_peering_ring(rmt_peering_t *self);
// With all that was learnt.
rmt_chooser_t *rmt_peering_chooser(rmt_peering_t *self);
// The peer that is read from now; "": the engine.
void rmt_peering_use(rmt_peering_t *self, const char *key);
void rmt_peering_blame(rmt_peering_t *self, const char *key);
void rmt_peering_event(const rmt_peering_t *self, const char *event, const char *key,
                       const char *text);

// For tests.
void rmt_peering_stats(rmt_peering_t *self, rmt_serve_stats_t *stats_out);
