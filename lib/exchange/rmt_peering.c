#include "exchange/rmt_peering.h"
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/rmt_auto.h"

#define GRANT_MS 3600000 // Told again with each answer of the broker

struct rmt_peering {
    const rmt_key_t *own;
    rmt_ring_t *ring;
    rmt_serve_t *serve;
    rmt_chooser_t *chooser;
    size_t ring_bytes;
    rmt_serve_event_fn *event;
    pthread_mutex_t mutex; // Of the news, and of grants
    rmt_records_t *news;   // Peers that were learnt, not yet known to the chooser
    uint32_t rank;
    char from[RMT_KEY_TEXT_SIZE], lied[RMT_KEY_TEXT_SIZE];
};

rmt_peering_t *
rmt_peering_new(const rmt_peering_config_t *config, rmt_error_t *error)
{
    rmt_auto(rmt_peering) self = calloc(1, sizeof *self);
    assert(self);
    pthread_mutex_init(&self->mutex, NULL);
    self->news = rmt_records_new();
    self->own = config->own;
    self->ring_bytes = config->ring_bytes;
    self->ring = rmt_ring_new(config->image, config->ring_bytes);
    self->chooser = rmt_chooser_new();
    const rmt_serve_config_t serve = {.endpoint = config->endpoint,
                                      .own = config->own,
                                      .zap = config->zap,
                                      .ring = self->ring,
                                      .event = config->event};
    self->event = config->event;
    self->serve = rmt_serve_new(&serve, error);
    return self->serve ? rmt_take(&self) : NULL;
}

void
rmt_peering_destroy(rmt_peering_t **self_p)
{
    rmt_peering_t *self = rmt_take(self_p);
    if (!self)
        return;
    rmt_serve_destroy(&self->serve);
    rmt_chooser_destroy(&self->chooser);
    rmt_ring_destroy(&self->ring);
    rmt_records_destroy(&self->news);
    pthread_mutex_destroy(&self->mutex);
    free(self);
}

void
rmt_peering_tell(const rmt_peering_t *self, rmt_record_t *body)
{
    rmt_record_set_u64(body, "port", rmt_serve_port(self->serve));
    rmt_record_set_u64(body, "ring", self->ring_bytes);
    rmt_record_set_u64(body, "position", rmt_ring_position(self->ring));
    rmt_record_set(body, "from", self->from);
    rmt_record_set(body, "lied", self->lied);
}

void
rmt_peering_learn(rmt_peering_t *self, const rmt_record_t *body,
                  const rmt_records_t *peers)
{
    const rmt_id_t *image = rmt_ring_image(self->ring);
    rmt_auto(rmt_records) grants = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(peers); i++) {
        rmt_record_t *grant = rmt_records_add(grants);
        rmt_record_set(grant, "op", "add");
        rmt_record_set(grant, "key",
                       rmt_record_text(rmt_records_at(peers, i), "key", ""));
        rmt_record_set_u64(grant, "left-ms", GRANT_MS);
        rmt_record_put(grant, "roots", image->bytes, RMT_ID_SIZE);
    }
    pthread_mutex_lock(&self->mutex);
    rmt_serve_peers(self->serve, grants);
    if (body)
        self->rank = (uint32_t) rmt_record_u64(body, "rank", 0);
    for (size_t i = 0; i < rmt_records_count(peers); i++) {
        rmt_auto(rmt_record) copy = rmt_record_dup(rmt_records_at(peers, i));
        rmt_records_append(self->news, &copy);
    }
    pthread_mutex_unlock(&self->mutex);
}

void
rmt_peering_stop(rmt_peering_t *self)
{
    rmt_ring_stop(self->ring);
    rmt_peering_use(self, "");
}

const rmt_key_t *
rmt_peering_own(const rmt_peering_t *self)
{
    return self->own;
}

rmt_ring_t *
rmt_peering_ring(rmt_peering_t *self)
{
    return self->ring;
}

rmt_chooser_t *
rmt_peering_chooser(rmt_peering_t *self)
{
    pthread_mutex_lock(&self->mutex);
    if (rmt_records_count(self->news) > 0) {
        rmt_chooser_learn(self->chooser, self->news, self->rank,
                          rmt_ring_position(self->ring));
        rmt_records_destroy(&self->news);
        self->news = rmt_records_new();
    }
    pthread_mutex_unlock(&self->mutex);
    return self->chooser;
}

void
rmt_peering_use(rmt_peering_t *self, const char *key)
{
    snprintf(self->from, sizeof self->from, "%s", key);
}

void
rmt_peering_event(const rmt_peering_t *self, const char *event, const char *key,
                  const char *text)
{
    if (self->event)
        self->event(NULL, event, key, text);
}

void
rmt_peering_blame(rmt_peering_t *self, const char *key)
{
    snprintf(self->lied, sizeof self->lied, "%s", key);
    rmt_peering_event(self, "relay.lied", key, "wrong bytes");
}

void
rmt_peering_stats(rmt_peering_t *self, rmt_serve_stats_t *stats_out)
{
    rmt_serve_stats(self->serve, stats_out);
}
