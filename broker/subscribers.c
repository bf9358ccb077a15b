#include "broker/subscribers.h"

#include <assert.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "broker/guard.h"
#include "broker/keyring.h"

typedef struct {
    rmt_origin_t origin;
    char user[RMT_USER_SIZE]; // Its key
    size_t count;
} row_t;

struct rmt_subscribers {
    rmt_broker_t *broker;
    zhashx_t *rows; // Descriptor of the connection, as text -> row_t
};

static void
s_row_destroy(void **item_p)
{
    free(*item_p);
    *item_p = NULL;
}

rmt_subscribers_t *
rmt_subscribers_new(rmt_broker_t *broker)
{
    rmt_subscribers_t *self = zmalloc(sizeof *self);
    self->broker = broker;
    self->rows = zhashx_new();
    zhashx_set_destructor(self->rows, s_row_destroy);
    return self;
}

void
rmt_subscribers_destroy(rmt_subscribers_t **self_p)
{
    assert(self_p);
    rmt_subscribers_t *self = *self_p;
    if (self) {
        zhashx_destroy(&self->rows);
        free(self);
        *self_p = NULL;
    }
}

// NULL: there are too many connections.
static row_t *
s_require(rmt_subscribers_t *self, const rmt_subscription_t *subscription)
{
    const rmt_origin_t *origin = &subscription->origin;
    char name[16];
    snprintf(name, sizeof name, "%d", origin->fd);
    row_t *row = zhashx_lookup(self->rows, name);
    if (!row && zhashx_size(self->rows) >= RMT_SUBSCRIBERS_MAX)
        return NULL;
    if (!row) {
        row = zmalloc(sizeof *row);
        zhashx_insert(self->rows, name, row);
    }
    if (!rmt_origin_is_same(&row->origin, origin)) {
        *row = (row_t){.origin = *origin}; // The descriptor has a new connection
        snprintf(row->user, sizeof row->user, "%s", subscription->user);
    }
    return row;
}

static void
s_take(rmt_subscribers_t *self, const rmt_subscription_t *subscription)
{
    const rmt_origin_t *origin = &subscription->origin;
    if (origin->fd == -1)
        return; // Its end is told for each that a connection leaves behind
    if (!rmt_keyring_find(self->broker->keyring, subscription->user)) {
        rmt_origin_cut(origin); // Its key ended before it had subscribed to anything
        return;
    }
    row_t *row = s_require(self, subscription);
    if (row && !subscription->is_on)
        return;
    if (row && subscription->size <= RMT_TOPIC_MAX &&
        ++row->count <= RMT_SUBSCRIPTIONS_MAX)
        return;
    rmt_guard_cut(self->broker, subscription->user, origin,
                  "it subscribes to more than it may");
}

void
rmt_subscribers_handle(rmt_subscribers_t *self)
{
    assert(self);
    const int64_t until = rmt_clock_ms() + RMT_TURN_MS;
    rmt_subscription_t subscription;
    while (
        rmt_clock_ms() < until &&
        rmt_socket_recv_subscription(self->broker->ports[RMT_PORT_EVENTS], &subscription))
        s_take(self, &subscription);
}

void
rmt_subscribers_end(rmt_subscribers_t *self, const char *key)
{
    assert(self && key);
    for (row_t *row = zhashx_first(self->rows); row; row = zhashx_next(self->rows))
        if (streq(row->user, key))
            rmt_origin_cut(&row->origin);
}

void
rmt_subscribers_tick(rmt_subscribers_t *self)
{
    assert(self);
    rmt_auto(zlistx) names = zhashx_keys(self->rows);
    for (const char *name = zlistx_first(names); name; name = zlistx_next(names)) {
        const row_t *row = zhashx_lookup(self->rows, name);
        if (!rmt_origin_is_alive(&row->origin))
            zhashx_delete(self->rows, name);
    }
}
