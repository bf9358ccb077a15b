#include "net/rmt_connections.h"

#include <assert.h>
#include <czmq.h>
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"

#define SURPLUS_MAX 1024 // That are told before they end; others end at once

typedef struct {
    rmt_connection_t *list;
    size_t count, space;
} row_t;

struct rmt_connections {
    zhashx_t *rows;        // Key -> row_t
    rmt_origin_t *surplus; // To be ended
    size_t surplus_count;
};

static void
s_row_destroy(void **item_p)
{
    row_t *self = *item_p;
    if (self) {
        free(self->list);
        free(self);
        *item_p = NULL;
    }
}

rmt_connections_t *
rmt_connections_new(void)
{
    rmt_connections_t *self = zmalloc(sizeof *self);
    self->surplus = zmalloc(SURPLUS_MAX * sizeof *self->surplus);
    self->rows = zhashx_new();
    zhashx_set_destructor(self->rows, s_row_destroy);
    return self;
}

void
rmt_connections_destroy(rmt_connections_t **self_p)
{
    assert(self_p);
    rmt_connections_t *self = *self_p;
    if (self) {
        zhashx_destroy(&self->rows);
        free(self->surplus);
        free(self);
        *self_p = NULL;
    }
}

static void
s_forget_ended(row_t *row)
{
    size_t left = 0;
    for (size_t i = 0; i < row->count; i++)
        if (rmt_origin_is_alive(&row->list[i].origin))
            row->list[left++] = row->list[i];
    row->count = left;
}

static rmt_connection_t *
s_find(const row_t *row, const rmt_origin_t *origin)
{
    for (size_t i = 0; i < row->count; i++)
        if (rmt_origin_is_same(&row->list[i].origin, origin))
            return &row->list[i];
    return NULL;
}

// Told once: what it says afterwards finds it in the list.
static void
s_add_surplus(rmt_connections_t *self, const rmt_origin_t *origin)
{
    for (size_t i = 0; i < self->surplus_count; i++)
        if (rmt_origin_is_same(&self->surplus[i], origin))
            return;
    if (self->surplus_count < SURPLUS_MAX)
        self->surplus[self->surplus_count++] = *origin;
    else
        rmt_origin_cut(origin);
}

rmt_connection_t *
rmt_connections_require(rmt_connections_t *self, const char *user,
                        const rmt_origin_t *origin, size_t max)
{
    assert(self && user && origin && origin->fd != -1);
    row_t *row = zhashx_lookup(self->rows, user);
    if (!row) {
        row = zmalloc(sizeof *row);
        zhashx_insert(self->rows, user, row);
    }
    rmt_connection_t *connection = s_find(row, origin);
    if (connection)
        return connection;
    if (row->count >= max)
        s_forget_ended(row);
    if (row->count >= max) {
        s_add_surplus(self, origin);
        return NULL;
    }
    rmt_grow(&row->list, &row->space, row->count + 1);
    row->list[row->count] = (rmt_connection_t){.origin = *origin};
    return &row->list[row->count++];
}

void
rmt_connections_end(rmt_connections_t *self, const char *user)
{
    assert(self && user);
    const row_t *row = zhashx_lookup(self->rows, user);
    for (size_t i = 0; row && i < row->count; i++)
        rmt_origin_cut(&row->list[i].origin);
}

void
rmt_connections_tick(rmt_connections_t *self)
{
    assert(self);
    for (size_t i = 0; i < self->surplus_count; i++)
        rmt_origin_cut(&self->surplus[i]);
    self->surplus_count = 0;
    rmt_auto(zlistx) users = zhashx_keys(self->rows);
    for (const char *user = zlistx_first(users); user; user = zlistx_next(users)) {
        row_t *row = zhashx_lookup(self->rows, user);
        s_forget_ended(row);
        if (row->count == 0)
            zhashx_delete(self->rows, user);
    }
}
