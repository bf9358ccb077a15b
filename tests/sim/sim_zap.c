#include "sim/sim_zap.h"

#include <czmq.h>
#include "base/rmt_auto.h"

struct rmt_zap {
    zhashx_t *allowed; // "domain key"
    bool is_open;
};

static rmt_zap_t *s_last; // Of the process that was started last

rmt_zap_t *
rmt_zap_new(rmt_error_t *error)
{
    (void) error;
    rmt_zap_t *self = zmalloc(sizeof *self);
    self->allowed = zhashx_new();
    s_last = self;
    return self;
}

void
rmt_zap_destroy(rmt_zap_t **self_p)
{
    rmt_zap_t *self = rmt_take(self_p);
    if (!self)
        return;
    zhashx_destroy(&self->allowed);
    free(self);
}

void
rmt_zap_allow(rmt_zap_t *self, const char *domain, const char *key)
{
    char word[64];
    snprintf(word, sizeof word, "%s %s", domain, key);
    zhashx_update(self->allowed, word, self);
}

void
rmt_zap_deny(rmt_zap_t *self, const char *domain, const char *key)
{
    char word[64];
    snprintf(word, sizeof word, "%s %s", domain, key);
    zhashx_delete(self->allowed, word);
}

void
rmt_zap_allow_any(rmt_zap_t *self, const char *domain)
{
    rmt_zap_allow(self, domain, "*");
}

void
rmt_zap_open_lists(rmt_zap_t *self)
{
    self->is_open = true;
}

void
rmt_zap_close_lists(rmt_zap_t *self)
{
    self->is_open = false;
}

// A peer that is muted meets the limits at the ports again.
void
rmt_zap_mute(rmt_zap_t *self, const char *peer, int64_t mute_ms)
{
    (void) self;
    (void) peer;
    (void) mute_ms;
}

uint64_t
rmt_zap_refused(rmt_zap_t *self)
{
    (void) self;
    return 0;
}

int
rmt_zap_self_test(rmt_zap_t *self, rmt_error_t *error)
{
    (void) self;
    (void) error;
    return 0;
}

// ---- For the network

rmt_zap_t *
sim_zap_last(void)
{
    return s_last;
}

static bool
s_has(const rmt_zap_t *self, const char *domain, const char *key)
{
    char word[64];
    snprintf(word, sizeof word, "%s %s", domain, key);
    return zhashx_lookup(self->allowed, word) != NULL;
}

bool
sim_zap_admits(const rmt_zap_t *self, const char *domain, const char *key)
{
    return s_has(self, domain, key) || s_has(self, domain, "*");
}

bool
sim_zap_is_closed(const rmt_zap_t *self)
{
    return !self->is_open;
}
