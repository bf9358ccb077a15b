#include "broker/quota.h"

#include <assert.h>
#include <czmq.h>
#include "base/rmt_auto.h"

#define QUIET_MS 10000

typedef struct {
    int64_t used; // Thousandths of units that are missing
    int64_t used_at;
} store_t;

typedef struct {
    store_t messages, hellos;
    int64_t strikes; // Thousandths
    int64_t struck_at;
    int64_t heard_at;
    int64_t muted_until;
    unsigned mutes;
    uint32_t held;
} row_t;

struct rmt_quota {
    zhashx_t *rows; // Peer -> row_t
    row_t crowd;    // Of those who find the table full
    size_t peers_max;
    int64_t mute_ms;
};

static void
s_row_destroy(void **item_p)
{
    free(*item_p);
    *item_p = NULL;
}

rmt_quota_t *
rmt_quota_new(size_t peers_max, int64_t mute_ms)
{
    rmt_quota_t *self = zmalloc(sizeof *self);
    self->peers_max = peers_max;
    self->mute_ms = mute_ms;
    self->rows = zhashx_new();
    zhashx_set_destructor(self->rows, s_row_destroy);
    return self;
}

void
rmt_quota_destroy(rmt_quota_t **self_p)
{
    assert(self_p);
    rmt_quota_t *self = *self_p;
    if (self) {
        zhashx_destroy(&self->rows);
        free(self);
        *self_p = NULL;
    }
}

static row_t *
s_require(rmt_quota_t *self, const char *peer)
{
    row_t *row = zhashx_lookup(self->rows, peer);
    if (row)
        return row;
    if (zhashx_size(self->rows) >= self->peers_max)
        return &self->crowd;
    row = zmalloc(sizeof *row);
    zhashx_insert(self->rows, peer, row);
    return row;
}

bool
rmt_quota_is_muted(rmt_quota_t *self, const char *peer, int64_t now)
{
    assert(self && peer);
    const row_t *row = zhashx_lookup(self->rows, peer);
    return row && now < row->muted_until;
}

// What is left of an amount that goes down by rate thousandths each millisecond.
static int64_t
s_fade(int64_t amount, int64_t since, int64_t rate, int64_t now)
{
    const int64_t gone = (now - since) * rate;
    return gone >= amount ? 0 : amount - gone;
}

static bool
s_use(store_t *store, rmt_quota_rate_t rate, uint32_t units, int64_t now)
{
    store->used = s_fade(store->used, store->used_at, rate.rate, now);
    store->used_at = now;
    if (store->used + (int64_t) units * 1000 > (int64_t) rate.room * 1000)
        return false;
    store->used += (int64_t) units * 1000;
    return true;
}

bool
rmt_quota_use(rmt_quota_t *self, const char *peer, rmt_quota_rate_t rate, uint32_t units,
              int64_t now)
{
    assert(self && peer && rate.rate > 0);
    row_t *row = s_require(self, peer);
    row->heard_at = now;
    return s_use(&row->messages, rate, units, now);
}

bool
rmt_quota_greet(rmt_quota_t *self, const char *peer, int64_t now)
{
    assert(self && peer);
    static const rmt_quota_rate_t rate = {1, RMT_QUOTA_HELLOS_MAX};
    row_t *row = s_require(self, peer);
    row->heard_at = now;
    return s_use(&row->hellos, rate, 1, now);
}

// Whether the last mute counts still.
static bool
s_is_remembered(const row_t *row, int64_t now)
{
    return row->mutes > 0 && now - row->muted_until < RMT_QUOTA_MEMORY_MS;
}

unsigned
rmt_quota_strike(rmt_quota_t *self, const char *peer, int64_t now)
{
    assert(self && peer);
    row_t *row = s_require(self, peer);
    // The crowd has done nothing together, and what is under way when a peer is muted
    // was said before.
    if (row == &self->crowd || now < row->muted_until)
        return 0;
    row->heard_at = now;
    row->strikes = s_fade(row->strikes, row->struck_at, 1, now) + 1000;
    row->struck_at = now;
    if (row->strikes <= RMT_QUOTA_STRIKES_MAX * 1000)
        return 0;
    if (!s_is_remembered(row, now))
        row->mutes = 0;
    row->strikes = 0;
    row->muted_until = now + self->mute_ms;
    return ++row->mutes;
}

bool
rmt_quota_hold(rmt_quota_t *self, const char *peer, uint32_t max)
{
    assert(self && peer);
    (void) s_require(self, peer);
    row_t *row = zhashx_lookup(self->rows, peer); // Its own
    if (!row || row->held >= max)
        return false;
    row->held++;
    return true;
}

void
rmt_quota_release(rmt_quota_t *self, const char *peer)
{
    assert(self && peer);
    row_t *row = zhashx_lookup(self->rows, peer);
    assert(row && row->held > 0);
    row->held--;
}

static bool
s_is_idle(const row_t *row, int64_t now)
{
    return row->held == 0 && now - row->heard_at > QUIET_MS && row->strikes == 0 &&
           !s_is_remembered(row, now);
}

void
rmt_quota_tick(rmt_quota_t *self, int64_t now)
{
    assert(self);
    rmt_auto(zlistx) peers = zhashx_keys(self->rows);
    for (const char *peer = zlistx_first(peers); peer; peer = zlistx_next(peers)) {
        row_t *row = zhashx_lookup(self->rows, peer);
        row->strikes = s_fade(row->strikes, row->struck_at, 1, now);
        row->struck_at = now;
        if (s_is_idle(row, now))
            zhashx_delete(self->rows, peer);
    }
}
