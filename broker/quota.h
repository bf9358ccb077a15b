// quota - how often a peer may speak to this broker, and what follows when it does more.
//
// A peer is a key; on the enrol port, which lets every key in, it is an address. Each has
// a store of units that fills with time and that its messages use up: a message that
// finds it empty is dropped and counts as a strike, like one against the grammar and one
// that its role may not send. Strikes fade. Too many of them mute the peer: for a minute
// nothing of it is heard. Pure: the time is an argument, and nothing is sent from here.
// The table is bounded: peers that find it full share one row, which is never muted, and
// hold nothing.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RMT_QUOTA_STRIKES_MAX 60    // That a peer may have; one fades each second
#define RMT_QUOTA_HELLOS_MAX 3      // At once; one more each second
#define RMT_QUOTA_MEMORY_MS 3600000 // How long a mute is remembered after its end

typedef struct rmt_quota rmt_quota_t;

// How fast the store fills, in units a second, and how many it holds.
typedef struct {
    uint32_t rate, room;
} rmt_quota_rate_t;

// peers_max bounds the table; a mute lasts mute_ms. Caller owns the result.
rmt_quota_t *rmt_quota_new(size_t peers_max, int64_t mute_ms);
void rmt_quota_destroy(rmt_quota_t **self_p);

bool rmt_quota_is_muted(rmt_quota_t *self, const char *peer, int64_t now);

// A message has come that costs so many units. False: the store is empty.
bool rmt_quota_use(rmt_quota_t *self, const char *peer, rmt_quota_rate_t rate,
                   uint32_t units, int64_t now);

// A HELLO has come. False: it is too soon after the last ones.
bool rmt_quota_greet(rmt_quota_t *self, const char *peer, int64_t now);

// A strike has come. Returns 0, or how many times the peer has been muted, this time
// included, when this strike mutes it. While it is muted nothing is a strike.
unsigned rmt_quota_strike(rmt_quota_t *self, const char *peer, int64_t now);

// One more call is made in the name of the peer. False when it has max of them. The
// caller gives it back by rmt_quota_release.
bool rmt_quota_hold(rmt_quota_t *self, const char *peer, uint32_t max);
void rmt_quota_release(rmt_quota_t *self, const char *peer);

// Forget the peers that have not been heard for long.
void rmt_quota_tick(rmt_quota_t *self, int64_t now);
