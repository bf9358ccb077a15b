#include "facts/rmt_hosts.h"
#include "base/rmt_auto.h"

#include <assert.h>

struct rmt_hosts {
    size_t count;
    const char **items;
};

rmt_hosts_t *
rmt_hosts_new(const char *const *brokers, rmt_port_t port, rmt_error_t *error)
{
    size_t count = 0;
    while (brokers[count])
        count++;
    rmt_auto(rmt_hosts) self = calloc(1, sizeof *self);
    assert(self);
    self->items = calloc(count + 1, sizeof *self->items);
    assert(self->items);
    for (; self->count < count; self->count++) {
        self->items[self->count] = rmt_endpoint_broker(brokers[self->count], port, error);
        if (!self->items[self->count])
            return NULL;
    }
    return rmt_take(&self);
}

void
rmt_hosts_destroy(rmt_hosts_t **self_p)
{
    rmt_hosts_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        free((char *) (uintptr_t) self->items[i]);
    free(self->items);
    free(self);
    *self_p = NULL;
}

const char *const *
rmt_hosts_list(const rmt_hosts_t *self)
{
    return self->items;
}
