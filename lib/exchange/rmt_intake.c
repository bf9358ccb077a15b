#include "exchange/rmt_intake.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_grow.h"

#define WINDOW_COUNT 128
#define WINDOW_SIZE ((uint64_t) 1024 * 1024) // Plain bytes
#define PEER_WAIT_MS 1000                    // For a word of a peer
#define PEER_WAIT_MAX_MS 5000 // For a large chunk that a peer gets by a slow line
#define SLOW_RATIO 4          // Slower than the engine by that much: left
#define RATE_MS 500           // Shorter times say little of a rate
#define RATE_FIRST_MS 20      // As long as none is known
#define TRIM_COUNT 4096

typedef struct {
    rmt_fetch_t *fetch; // NULL: none
    char key[RMT_KEY_TEXT_SIZE];
    int64_t since_ms; // Of a candidate: when it was asked
    bool is_ready;    // It said that it would give
} peer_t;

struct rmt_intake {
    rmt_peering_t *relay;
    rmt_fetch_t *engine;
    rmt_link_alive_fn *alive;
    void *context;
    rmt_id_t *ids; // Expected
    uint32_t *sizes;
    size_t count, room, sizes_room;
    size_t at;            // Is read next
    size_t told;          // The source in use was told of those before
    peer_t source;        // None: the engine
    peer_t candidate;     // Was asked whether it would give
    int64_t since_ms;     // When the rate was measured last
    uint64_t bytes;       // Since then
    uint64_t engine_rate; // Bytes in a second, when last measured
    uint64_t relayed;
};

rmt_intake_t *
rmt_intake_new(rmt_peering_t *relay, rmt_fetch_t *engine)
{
    rmt_intake_t *self = calloc(1, sizeof *self);
    assert(self);
    self->relay = relay;
    self->engine = engine;
    self->since_ms = rmt_clock_ms();
    if (relay)
        rmt_fetch_set_ring(engine, rmt_peering_ring(relay));
    return self;
}

void
rmt_intake_destroy(rmt_intake_t **self_p)
{
    rmt_intake_t *self = rmt_take(self_p);
    if (!self)
        return;
    rmt_fetch_destroy(&self->source.fetch);
    rmt_fetch_destroy(&self->candidate.fetch);
    free(self->ids);
    free(self->sizes);
    free(self);
}

void
rmt_intake_set_alive(rmt_intake_t *self, rmt_link_alive_fn *alive, void *context)
{
    self->alive = alive;
    self->context = context;
}

uint64_t
rmt_intake_relayed(const rmt_intake_t *self)
{
    return self->relayed;
}

// ---- What is expected

void
rmt_intake_expect(rmt_intake_t *self, const rmt_id_t *id, uint32_t size)
{
    if (!self->relay) {
        rmt_fetch_expect_more(self->engine, id, 1);
        return;
    }
    rmt_grow(&self->ids, &self->room, self->count + 1);
    rmt_grow(&self->sizes, &self->sizes_room, self->count + 1);
    self->ids[self->count] = *id;
    self->sizes[self->count++] = size;
    rmt_ring_expect(rmt_peering_ring(self->relay), id, 1);
}

static void
s_trim(rmt_intake_t *self)
{
    if (self->at < TRIM_COUNT || self->at < self->count / 2)
        return;
    self->count -= self->at;
    self->told -= self->at;
    memmove(self->ids, self->ids + self->at, self->count * sizeof *self->ids);
    memmove(self->sizes, self->sizes + self->at, self->count * sizeof *self->sizes);
    self->at = 0;
}

// ---- Peers

static rmt_peer_end_t
s_end_of(rmt_code_t code)
{
    if (code == RMT_E_CORRUPT)
        return RMT_PEER_LIED;
    if (code == RMT_E_NOT_FOUND)
        return RMT_PEER_ABSENT;
    return code == RMT_E_BUSY || code == RMT_E_NOT_ALLOWED ? RMT_PEER_BUSY
                                                           : RMT_PEER_SILENT;
}

static void
s_leave(rmt_intake_t *self, peer_t *peer, rmt_peer_end_t how, const char *why)
{
    rmt_chooser_t *chooser = rmt_peering_chooser(self->relay);
    const uint64_t theirs = rmt_fetch_position(peer->fetch);
    if (theirs && (how == RMT_PEER_BUSY || how == RMT_PEER_ABSENT))
        rmt_chooser_told(chooser, peer->key, theirs,
                         rmt_ring_position(rmt_peering_ring(self->relay)));
    rmt_chooser_ended(chooser, peer->key, how, rmt_clock_ms());
    if (how == RMT_PEER_LIED)
        rmt_peering_blame(self->relay, peer->key);
    rmt_peering_event(self->relay, "relay.left", peer->key, why);
    rmt_fetch_destroy(&peer->fetch);
    if (peer == &self->source)
        rmt_peering_use(self->relay, "");
}

// What a peer waits for, it gets by no slower a line than ours from the engine is.
static uint32_t
s_wait_ms(const rmt_intake_t *self)
{
    const uint64_t chunk_ms =
        self->engine_rate ? RMT_CHUNK_PLAIN_MAX * 1000 / self->engine_rate : 0;
    const uint64_t wait_ms = PEER_WAIT_MS + 2 * chunk_ms;
    return wait_ms < PEER_WAIT_MAX_MS ? (uint32_t) wait_ms : PEER_WAIT_MAX_MS;
}

// Ask a peer whether it would give.
static void
s_try(rmt_intake_t *self, const rmt_record_t *record)
{
    peer_t *peer = &self->candidate;
    rmt_error_t error = {0};
    rmt_auto(rmt_records) holders = rmt_records_new();
    rmt_auto(rmt_record) copy = rmt_record_dup(record);
    rmt_records_append(holders, &copy);
    peer->since_ms = rmt_clock_ms();
    peer->is_ready = false;
    snprintf(peer->key, sizeof peer->key, "%s", rmt_record_text(record, "key", ""));
    peer->fetch = rmt_fetch_new(holders, NULL, rmt_peering_own(self->relay),
                                rmt_ring_image(rmt_peering_ring(self->relay)), &error);
    if (!peer->fetch) {
        rmt_chooser_ended(rmt_peering_chooser(self->relay), peer->key, RMT_PEER_SILENT,
                          rmt_clock_ms());
        return;
    }
    rmt_fetch_set_ring(peer->fetch, rmt_peering_ring(self->relay));
    rmt_fetch_be_brief(peer->fetch, s_wait_ms(self));
    rmt_fetch_set_alive(peer->fetch, self->alive, self->context);
    if (rmt_fetch_start(peer->fetch, &error) == -1)
        s_leave(self, peer, RMT_PEER_SILENT, error.text);
}

// Has the candidate said that it would give? One that is behind is left, and so is one
// that says nothing.
static bool
s_is_ready(rmt_intake_t *self)
{
    peer_t *peer = &self->candidate;
    rmt_error_t error = {0};
    if (!peer->fetch || peer->is_ready)
        return peer->fetch;
    const int rc = rmt_fetch_hears(peer->fetch, &error);
    if (rc == -1)
        s_leave(self, peer, s_end_of(error.code), error.text);
    else if (rc == 0 && rmt_clock_ms() - peer->since_ms > PEER_WAIT_MS)
        s_leave(self, peer, RMT_PEER_SILENT, "no answer");
    else if (rc == 1 && rmt_fetch_position(peer->fetch) <
                            rmt_ring_position(rmt_peering_ring(self->relay)))
        s_leave(self, peer, RMT_PEER_ABSENT, "it is behind");
    peer->is_ready = peer->fetch && rc == 1;
    return peer->is_ready;
}

// ---- Windows

// How many chunks make the next window. A peer is not asked for all that is known: what
// it has in its own window may be less.
static size_t
s_window(const rmt_intake_t *self, bool of_peer)
{
    const size_t known = self->count - self->at;
    const size_t end = self->at + (of_peer ? (known * 3 + 3) / 4 : known);
    size_t count = 0;
    for (uint64_t size = 0; self->told + count < end && count < WINDOW_COUNT &&
                            (count == 0 || size < WINDOW_SIZE);
         count++)
        size += self->sizes[self->told + count];
    return count;
}

// Is half a window left, or more?
static bool
s_has_half(const rmt_intake_t *self)
{
    const size_t ahead = self->told - self->at;
    uint64_t size = 0;
    for (size_t i = self->at; i < self->told && size <= WINDOW_SIZE / 2; i++)
        size += self->sizes[i];
    return ahead > WINDOW_COUNT / 2 || size > WINDOW_SIZE / 2;
}

// The source in use gets the next window too.
static void
s_extend(rmt_intake_t *self)
{
    rmt_error_t error = {0};
    const size_t count = s_window(self, self->source.fetch != NULL);
    rmt_fetch_t *fetch = self->source.fetch ? self->source.fetch : self->engine;
    rmt_fetch_expect_more(fetch, &self->ids[self->told], count);
    self->told += count;
    // What fails here is seen by the next read.
    if (self->source.fetch)
        (void) rmt_fetch_start(fetch, &error);
}

// How fast the source in use was since it was measured last; 0: it is too early to say.
static uint64_t
s_rate(rmt_intake_t *self, int64_t min_ms)
{
    const int64_t now = rmt_clock_ms();
    const int64_t passed = now - self->since_ms;
    if (passed < min_ms)
        return 0;
    const uint64_t rate = self->bytes * 1000 / (uint64_t) passed;
    self->since_ms = now;
    self->bytes = 0;
    return rate;
}

// False: the source in use is a peer that is far slower than the engine was.
static bool
s_is_quick(rmt_intake_t *self)
{
    const uint64_t rate = s_rate(self, RATE_MS);
    if (rate && !self->source.fetch)
        self->engine_rate = rate;
    return !rate || !self->source.fetch || rate * SLOW_RATIO >= self->engine_rate;
}

// From the chunk at `at` on, which the source in use was not told of.
static void
s_begin(rmt_intake_t *self)
{
    if (!self->source.fetch && !self->engine_rate)
        self->engine_rate = s_rate(self, RATE_FIRST_MS);
    self->told = self->at;
    self->since_ms = rmt_clock_ms();
    self->bytes = 0;
    if (s_is_ready(self)) {
        rmt_fetch_destroy(&self->source.fetch);
        self->source = self->candidate;
        self->candidate.fetch = NULL;
        rmt_peering_use(self->relay, self->source.key);
        rmt_peering_event(self->relay, "relay.used", self->source.key, "");
        rmt_fetch_expect(self->source.fetch, NULL, 0);
        s_extend(self);
        return;
    }
    rmt_fetch_destroy(&self->source.fetch);
    rmt_peering_use(self->relay, "");
    rmt_fetch_expect(self->engine, NULL, 0);
    s_extend(self);
}

static void
s_try_next(rmt_intake_t *self)
{
    const rmt_record_t *record =
        self->candidate.fetch
            ? NULL
            : rmt_chooser_pick(rmt_peering_chooser(self->relay), rmt_clock_ms());
    if (record)
        s_try(self, record);
}

// May the peer in use have the next window too?
static bool
s_may_go_on(rmt_intake_t *self)
{
    return rmt_chooser_may_go_on(rmt_peering_chooser(self->relay), self->source.key,
                                 rmt_clock_ms());
}

// A peer is looked for while the engine gives, and who gives the next window is decided
// when half of this one is left.
static void
s_look_ahead(rmt_intake_t *self)
{
    if (!self->source.fetch)
        s_try_next(self);
    const bool is_ready = s_is_ready(self);
    if (s_has_half(self) || self->told == self->count)
        return;
    if (self->source.fetch && !s_may_go_on(self)) {
        s_try_next(self);
        return;
    }
    if (self->source.fetch || !is_ready)
        s_extend(self);
}

// ---- Reading

// 0; 1: the peer has failed, and was left; -1: CANCELLED.
static int
s_read_peer(rmt_intake_t *self, const rmt_id_t *id, void *plain_out, size_t *size_out,
            rmt_error_t *error)
{
    rmt_error_t why = {0};
    if (rmt_fetch_read_brief(self->source.fetch, id, plain_out, size_out, &why) == 0) {
        rmt_chooser_told(rmt_peering_chooser(self->relay), self->source.key,
                         rmt_fetch_position(self->source.fetch),
                         rmt_ring_position(rmt_peering_ring(self->relay)));
        self->relayed++;
        return 0;
    }
    if (why.code == RMT_E_CANCELLED) {
        *error = why;
        return -1;
    }
    s_leave(self, &self->source, s_end_of(why.code), why.text);
    return 1;
}

static int
s_read(rmt_intake_t *self, const rmt_id_t *id, void *plain_out, size_t *size_out,
       rmt_error_t *error)
{
    if (self->at >= self->told)
        s_begin(self);
    if (self->source.fetch) {
        const int rc = s_read_peer(self, id, plain_out, size_out, error);
        if (rc != 1)
            return rc;
        s_begin(self);
    }
    return rmt_fetch_read(self->engine, id, plain_out, size_out, error);
}

int
rmt_intake_read(rmt_intake_t *self, const rmt_id_t *id, void *plain_out, size_t *size_out,
                rmt_error_t *error)
{
    size_t at = self->at;
    while (at < self->count && !rmt_id_equal(&self->ids[at], id))
        at++;
    if (!self->relay || at == self->count)
        return rmt_fetch_read(self->engine, id, plain_out, size_out, error);
    if (at != self->at && self->source.fetch) {
        self->at = at;
        s_begin(self);
    }
    self->at = at;
    if (s_read(self, id, plain_out, size_out, error) == -1)
        return -1;
    self->at++;
    self->bytes += *size_out;
    if (s_is_quick(self)) {
        s_look_ahead(self);
    } else {
        s_leave(self, &self->source, RMT_PEER_SLOW, "it is slow");
        self->told = self->at; // The next read begins a window
    }
    s_trim(self);
    return 0;
}
