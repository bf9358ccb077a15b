// rmt_sentinel - asks sentinels where the primary of a name is, again and again.
//
// It is told by all sentinels of the setting at once, and believes what more than half of
// them say: one that is cut off with a primary that is no more counts for nothing. Used
// by the thread of rmt_redis alone.
#pragma once

#include <czmq.h>
#include "state/rmt_redis_link.h"
#include "state/rmt_state.h"

typedef struct rmt_sentinel rmt_sentinel_t;

// server is borrowed, and names at least one sentinel and at most RMT_SENTINELS_MAX.
// Caller owns the result.
rmt_sentinel_t *rmt_sentinel_new(const rmt_state_server_t *server);
void rmt_sentinel_destroy(rmt_sentinel_t **self_p);

// Connect and ask what is due, and give up what is overdue.
void rmt_sentinel_turn(rmt_sentinel_t *self, int64_t now);
// When the next turn is due.
int64_t rmt_sentinel_due(const rmt_sentinel_t *self);

// What is to be polled, and what has come of it. Returns how many items there are.
size_t rmt_sentinel_items(const rmt_sentinel_t *self,
                          zmq_pollitem_t items[RMT_SENTINELS_MAX]);
void rmt_sentinel_handle(rmt_sentinel_t *self, const zmq_pollitem_t *items, int64_t now);

// host:port of the primary, valid until the next call of turn or handle. NULL: more than
// half of the sentinels do not name one now; why_out says what one of them lacks.
const char *rmt_sentinel_primary(const rmt_sentinel_t *self,
                                 char why_out[RMT_REDIS_WHY_SIZE]);
