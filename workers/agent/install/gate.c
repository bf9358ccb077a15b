#include "agent/install/gate.h"
#include "base/rmt_auto.h"

#include <assert.h>
#include <pthread.h>

struct rmt_gate {
    pthread_mutex_t lock;
    bool prepared;
    rmt_id_t plan;
    rmt_key_t key;
    rmt_fence_t highest;
};

rmt_gate_t *
rmt_gate_new(void)
{
    rmt_gate_t *self = calloc(1, sizeof *self);
    assert(self);
    pthread_mutex_init(&self->lock, NULL);
    return self;
}

void
rmt_gate_destroy(rmt_gate_t **self_p)
{
    rmt_gate_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_destroy(&self->lock);
    rmt_key_wipe(&self->key);
    free(self);
    *self_p = NULL;
}

int
rmt_gate_prepare(rmt_gate_t *self, const rmt_id_t *plan, rmt_key_t *key_out,
                 rmt_error_t *error)
{
    int rc = 0;
    pthread_mutex_lock(&self->lock);
    if (!self->prepared || !rmt_id_equal(&self->plan, plan))
        rc = rmt_key_new(&self->key, error);
    if (rc == 0) {
        self->prepared = true;
        self->plan = *plan;
        *key_out = self->key;
    }
    pthread_mutex_unlock(&self->lock);
    return rc;
}

static bool
s_is_older(const rmt_fence_t *a, const rmt_fence_t *b)
{
    if (a->era != b->era)
        return a->era < b->era;
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch;
    return a->attempt < b->attempt;
}

int
rmt_gate_go(rmt_gate_t *self, const rmt_id_t *plan, const rmt_fence_t *fence,
            rmt_key_t *key_out, rmt_error_t *error)
{
    int rc = 0;
    pthread_mutex_lock(&self->lock);
    if (!self->prepared || !rmt_id_equal(&self->plan, plan))
        rc = rmt_fail(error, RMT_E_FENCED,
                      "this start of the target did not prepare this plan last");
    else if (s_is_older(fence, &self->highest))
        rc = rmt_fail(error, RMT_E_FENCED, "the target has seen a newer GO");
    if (rc == 0) {
        self->highest = *fence;
        *key_out = self->key;
    }
    pthread_mutex_unlock(&self->lock);
    return rc;
}
