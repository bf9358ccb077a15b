// rmt_chooser - which peer a target asks for its next window. Pure: time and positions
// are arguments.
//
// It is the peer that is nearest ahead and was not refused of late; of peers at the same
// position the one with the nearest rank before our own. A peer's lead is what it was
// ahead when it last told its position: peers of one job go about equally fast, and one
// that does not is corrected by its next word.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_record.h"

typedef struct rmt_chooser rmt_chooser_t;

// What became of a peer that was asked.
typedef enum {
    RMT_PEER_BUSY,   // Another one has its slot
    RMT_PEER_ABSENT, // It has not what was asked for
    RMT_PEER_SLOW,   // The engine is much faster
    RMT_PEER_SILENT, // No answer, or the connection was lost; the fourth time is the last
    RMT_PEER_LIED,   // Wrong bytes: never asked again
} rmt_peer_end_t;

// Caller owns the result.
rmt_chooser_t *rmt_chooser_new(void);
void rmt_chooser_destroy(rmt_chooser_t **self_p);

// What the broker said: peers {key, rank, addresses, port, name, position, ring}, and our
// own rank and position. What is known of a key stays. Copies peers.
void rmt_chooser_learn(rmt_chooser_t *self, const rmt_records_t *peers, uint32_t rank,
                       uint64_t position);

// The record of the peer to ask, valid until the next learn. NULL: the engine.
const rmt_record_t *rmt_chooser_pick(const rmt_chooser_t *self, int64_t now_ms);

// May the peer that is in use be used further? One that was reached stays in use, as both
// have the same pace then; one that was passed does not.
bool rmt_chooser_may_go_on(const rmt_chooser_t *self, const char *key, int64_t now_ms);

// A peer told its position.
void rmt_chooser_told(rmt_chooser_t *self, const char *key, uint64_t theirs,
                      uint64_t ours);
void rmt_chooser_ended(rmt_chooser_t *self, const char *key, rmt_peer_end_t how,
                       int64_t now_ms);
