#include "agent/install/gate.h"
#include "agent/install/order.h"
#include "base/rmt_auto.h"
#include "base/rmt_random.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

struct rmt_gate {
    pthread_mutex_t lock;
    uint8_t nonce[RMT_UID_SIZE];
    bool prepared;
    rmt_id_t plan;
    rmt_key_t key;
    rmt_fence_t highest;
};

rmt_gate_t *
rmt_gate_new(const uint8_t nonce[RMT_UID_SIZE])
{
    rmt_gate_t *self = calloc(1, sizeof *self);
    assert(self);
    pthread_mutex_init(&self->lock, NULL);
    memcpy(self->nonce, nonce, RMT_UID_SIZE);
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

static int
s_prepare(rmt_gate_t *self, const rmt_id_t *plan, rmt_gate_plan_t *plan_out,
          rmt_error_t *error)
{
    if ((!self->prepared || !rmt_id_equal(&self->plan, plan)) &&
        rmt_key_new(&self->key, error) == -1)
        return -1;
    self->prepared = true;
    self->plan = *plan;
    plan_out->plan = *plan;
    plan_out->key = self->key;
    memcpy(plan_out->nonce, self->nonce, RMT_UID_SIZE);
    return 0;
}

int
rmt_gate_prepare(rmt_gate_t *self, const void *order, size_t size,
                 rmt_gate_plan_t *plan_out, rmt_error_t *error)
{
    rmt_id_t plan;
    pthread_mutex_lock(&self->lock);
    rmt_order_plan(order, size, self->nonce, &plan);
    const int rc = s_prepare(self, &plan, plan_out, error);
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

static int
s_check_go(const rmt_gate_t *self, const rmt_go_t *go, rmt_error_t *error)
{
    char nonce_text[33];
    char plan_text[RMT_ID_TEXT_SIZE];
    rmt_id_t plan;
    if (strcmp(go->nonce, rmt_uid_text(self->nonce, nonce_text)) != 0)
        return rmt_fail(error, RMT_E_FENCED, "the GO names another life of this agent");
    rmt_order_plan(go->order, go->size, self->nonce, &plan);
    if (strcmp(go->plan, rmt_id_text(&plan, plan_text)) != 0)
        return rmt_fail(error, RMT_E_FENCED, "the GO names another plan");
    if (!self->prepared || !rmt_id_equal(&self->plan, &plan))
        return rmt_fail(error, RMT_E_FENCED,
                        "this life of the agent did not prepare this plan last");
    if (s_is_older(&go->fence, &self->highest))
        return rmt_fail(error, RMT_E_FENCED, "the target has seen a newer GO");
    return 0;
}

int
rmt_gate_go(rmt_gate_t *self, const rmt_go_t *go, rmt_key_t *key_out, rmt_error_t *error)
{
    pthread_mutex_lock(&self->lock);
    const int rc = s_check_go(self, go, error);
    if (rc == 0) {
        self->highest = go->fence;
        *key_out = self->key;
    }
    pthread_mutex_unlock(&self->lock);
    return rc;
}

void
rmt_gate_renew(rmt_gate_t *self)
{
    pthread_mutex_lock(&self->lock);
    rmt_random_bytes(self->nonce, RMT_UID_SIZE);
    self->prepared = false;
    rmt_key_wipe(&self->key);
    pthread_mutex_unlock(&self->lock);
}

void
rmt_gate_life(rmt_gate_t *self, uint8_t nonce_out[RMT_UID_SIZE])
{
    pthread_mutex_lock(&self->lock);
    memcpy(nonce_out, self->nonce, RMT_UID_SIZE);
    pthread_mutex_unlock(&self->lock);
}
