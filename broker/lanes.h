// lanes - the requests of each key on their way to Redis and back.
//
// Four of a key are under way at once, some more wait in its lane, and the rest is
// refused as BUSY. An answer that the peer has not read yet counts like a request that is
// under way. So neither a key that asks without pause, nor one with large requests, nor
// one that reads no answers makes the broker grow or fills Redis. Octets are those of the
// envelopes. The items are the caller's.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "net/rmt_unsent.h"

#define RMT_LANE_UNDER_WAY_MAX 4             // Of one key
#define RMT_LANE_WAITING_MAX 60              // Likewise, in line behind them
#define RMT_LANE_SIZE_MAX ((size_t) 1 << 20) // Octets of one key
#define RMT_LANES_SIZE_MAX                                                               \
    ((size_t) 8 << 20) // Octets of all requests but those of admins

typedef struct rmt_lanes rmt_lanes_t;

typedef enum { RMT_LANE_GO, RMT_LANE_WAIT, RMT_LANE_BUSY } rmt_lane_t;

rmt_lanes_t *rmt_lanes_new(void);
void rmt_lanes_destroy(rmt_lanes_t **self_p);

// A request of so many octets has come. GO: ask Redis now. WAIT: it is handed out by
// rmt_lanes_leave in its turn. BUSY: refuse it; it is not kept. is_admin: the octets of
// all keys do not bound it and do not have it, so that neither keeps the other out.
rmt_lane_t rmt_lanes_enter(rmt_lanes_t *self, const char *key, size_t size, bool is_admin,
                           void *item);

// A request that was told to go has been answered. Returns the next one of this key that
// may go, or NULL. The caller refuses it as BUSY, and leaves with it, when the lane is
// full.
void *rmt_lanes_leave(rmt_lanes_t *self, const char *key, size_t size);

// The answers that the peer has not read, and what it asks, are more than its octets.
bool rmt_lanes_is_full(rmt_lanes_t *self, const char *key);

// The count of the answers of a key; it stays the library's, until the next tick.
rmt_unsent_t *rmt_lanes_unsent(rmt_lanes_t *self, const char *key);

// Forget the keys of which nothing is left.
void rmt_lanes_tick(rmt_lanes_t *self);
