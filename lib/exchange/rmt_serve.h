// rmt_serve - the data port of a worker: gives chunks of granted images, and takes
// streams of offered chunks into the store.
//
// It runs in a thread of its own (streams and the reading of manifests in more). PEERS
// of the broker name the keys and their grants; each message's key is checked again. At
// most RMT_SERVE_BUDGET bytes are under way to all peers, and to one no more than its
// window. It sends chunks whose checksum in the pack is right, and no others: their ids
// are checked by who receives them, and here when a receiver says that bytes do not
// match. Over a ring in place of a store it is a relay: it gives what the ring has to one
// peer at a time, and tells how far its owner has come. The functions below are called by
// one thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"
#include "crypto/rmt_key.h"
#include "base/rmt_record.h"
#include "exchange/rmt_ring.h"
#include "net/rmt_zap.h"

#define RMT_SERVE_BUDGET ((uint64_t) 128 * 1024 * 1024)
#define RMT_SERVE_WINDOW ((uint64_t) 8 * 1024 * 1024)
#define RMT_SERVE_STREAMS 16     // Open at once; more are told UNAVAILABLE
#define RMT_SERVE_CONNECTIONS 64 // Of one key; more are told UNAVAILABLE, and end

typedef struct rmt_serve rmt_serve_t;

// An event for the log; called in threads of the server, so it must be
// thread-safe, as rmt_log is. event: "stream.opened", "stream.sealed", "stream.broken",
// "fetch.refused", "peer.refused", "peer.cut", "chunk.damaged". key: public key of the
// peer; "" where it is not known.
typedef void(rmt_serve_event_fn)(void *context, const char *event, const char *key,
                                 const char *text);

typedef struct {
    const char *endpoint; // "host:port" to bind; "*:0" takes a free port
    const rmt_key_t *own;
    rmt_zap_t *zap;            // Borrowed while the server lives, for its domain
                               // "data"; the server's thread makes all calls
    const char *store;         // Folder; must exist
    rmt_ring_t *ring;          // In place of store; borrowed while the server lives
    const char *place;         // Of the store, for people
    bool receives;             // Takes streams too
    uint64_t window;           // Of one peer, at most RMT_SERVE_WINDOW; 0: that
    uint32_t handshake_ms;     // Of one connection; 0: RMT_HANDSHAKE_MS
    rmt_serve_event_fn *event; // May be NULL
    void *context;             // Of event
} rmt_serve_config_t;

typedef struct {
    uint64_t chunks_sent, bytes_sent, chunks_received, bytes_received;
    uint64_t refused;     // Ids outside a grant, messages of keys without one
    uint64_t damaged;     // Chunks found damaged in the store, or on arrival
    uint64_t unacked_max; // The most that was under way to one peer
    uint64_t streams;     // Open now
} rmt_serve_stats_t;

// Bind and start. Caller owns the result. NULL: IO, NOT_FOUND, USAGE.
rmt_serve_t *rmt_serve_new(const rmt_serve_config_t *config, rmt_error_t *error);
// What has come by streams that are not sealed is kept.
void rmt_serve_destroy(rmt_serve_t **self_p);

uint16_t rmt_serve_port(const rmt_serve_t *self);

// Apply the items of a PEERS: {op add|drop, key, roots (33 octets each), left-ms}. An
// add with roots may fetch those images; an add without any may offer a stream. left-ms
// is how long the grant lives from now, at most 30 days; 0 or absent: until dropped. A
// grant in use lasts at least 10 minutes more. A drop without roots takes everything from
// a key. Copies items; never waits.
void rmt_serve_peers(rmt_serve_t *self, const rmt_records_t *items);

// Blocks for a moment. For tests.
void rmt_serve_stats(rmt_serve_t *self, rmt_serve_stats_t *stats_out);
