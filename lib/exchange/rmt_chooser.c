#include "exchange/rmt_chooser.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"

#define BUSY_MS 2000
#define ABSENT_MS 1000
#define SLOW_MS 10000
#define SILENT_MS 4000 // Doubled each time
#define SILENT_MAX 4
#define PASSED ((int64_t) 1024 * 1024)

typedef struct {
    rmt_record_t *record;
    uint32_t rank;
    int64_t lead;     // Bytes that it is ahead of us
    uint64_t ring;    // Bytes that it keeps
    int64_t until_ms; // Not asked before
    unsigned silences;
    bool is_left; // For good
} peer_t;

struct rmt_chooser {
    peer_t *peers;
    size_t count;
    uint32_t rank;
};

rmt_chooser_t *
rmt_chooser_new(void)
{
    rmt_chooser_t *self = calloc(1, sizeof *self);
    assert(self);
    return self;
}

void
rmt_chooser_destroy(rmt_chooser_t **self_p)
{
    rmt_chooser_t *self = rmt_take(self_p);
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        rmt_record_destroy(&self->peers[i].record);
    free(self->peers);
    free(self);
}

static peer_t *
s_find(const rmt_chooser_t *self, const char *key)
{
    for (size_t i = 0; i < self->count; i++)
        if (strcmp(rmt_record_text(self->peers[i].record, "key", ""), key) == 0)
            return &self->peers[i];
    return NULL;
}

static int64_t
s_lead(uint64_t theirs, uint64_t ours)
{
    return theirs >= ours ? (int64_t) (theirs - ours) : -(int64_t) (ours - theirs);
}

void
rmt_chooser_learn(rmt_chooser_t *self, const rmt_records_t *peers, uint32_t rank,
                  uint64_t position)
{
    self->rank = rank;
    for (size_t i = 0; i < rmt_records_count(peers); i++) {
        const rmt_record_t *told = rmt_records_at(peers, i);
        peer_t *peer = s_find(self, rmt_record_text(told, "key", ""));
        if (!peer) {
            rmt_grow_one(&self->peers, self->count);
            peer = &self->peers[self->count++];
            *peer = (peer_t){.record = NULL};
        }
        rmt_record_destroy(&peer->record);
        peer->record = rmt_record_dup(told);
        peer->rank = (uint32_t) rmt_record_u64(told, "rank", 0);
        peer->ring = rmt_record_u64(told, "ring", 0);
        peer->lead = s_lead(rmt_record_u64(told, "position", 0), position);
    }
}

static bool
s_is_ahead(const rmt_chooser_t *self, const peer_t *peer)
{
    return peer->lead > 0 || (peer->lead == 0 && peer->rank < self->rank);
}

static bool
s_may_ask(const rmt_chooser_t *self, const peer_t *peer, int64_t now_ms)
{
    return !peer->is_left && now_ms >= peer->until_ms && s_is_ahead(self, peer) &&
           rmt_record_has(peer->record, "port") && (uint64_t) peer->lead <= peer->ring;
}

static bool
s_is_nearer(const peer_t *one, const peer_t *other)
{
    return !other || one->lead < other->lead ||
           (one->lead == other->lead && one->rank > other->rank);
}

const rmt_record_t *
rmt_chooser_pick(const rmt_chooser_t *self, int64_t now_ms)
{
    const peer_t *best = NULL;
    for (size_t i = 0; i < self->count; i++)
        if (s_may_ask(self, &self->peers[i], now_ms) &&
            s_is_nearer(&self->peers[i], best))
            best = &self->peers[i];
    return best ? best->record : NULL;
}

bool
rmt_chooser_may_go_on(const rmt_chooser_t *self, const char *key, int64_t now_ms)
{
    const peer_t *peer = s_find(self, key);
    return peer && !peer->is_left && now_ms >= peer->until_ms && peer->lead > -PASSED;
}

void
rmt_chooser_told(rmt_chooser_t *self, const char *key, uint64_t theirs, uint64_t ours)
{
    peer_t *peer = s_find(self, key);
    if (!peer)
        return;
    peer->lead = s_lead(theirs, ours);
    peer->silences = 0;
}

void
rmt_chooser_ended(rmt_chooser_t *self, const char *key, rmt_peer_end_t how,
                  int64_t now_ms)
{
    static const int64_t pauses[] = {[RMT_PEER_BUSY] = BUSY_MS,
                                     [RMT_PEER_ABSENT] = ABSENT_MS,
                                     [RMT_PEER_SLOW] = SLOW_MS,
                                     [RMT_PEER_SILENT] = SILENT_MS,
                                     [RMT_PEER_LIED] = 0};
    peer_t *peer = s_find(self, key);
    if (!peer)
        return;
    peer->until_ms =
        now_ms + (pauses[how] << (how == RMT_PEER_SILENT ? peer->silences : 0));
    if (how == RMT_PEER_SILENT)
        peer->silences++;
    peer->is_left = peer->is_left || how == RMT_PEER_LIED || peer->silences == SILENT_MAX;
}
