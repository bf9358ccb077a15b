#include "net/rmt_unsent.h"
#include "base/rmt_auto.h"

#include <assert.h>
#include <stdatomic.h>

struct rmt_unsent {
    atomic_size_t size;
    atomic_size_t users; // The owner, and each message
};

typedef struct {
    rmt_unsent_t *unsent;
    zframe_t *frame;
} load_t;

rmt_unsent_t *
rmt_unsent_new(void)
{
    rmt_unsent_t *self = zmalloc(sizeof *self);
    atomic_init(&self->users, 1);
    return self;
}

static void
s_leave(rmt_unsent_t *self)
{
    if (atomic_fetch_sub(&self->users, 1) == 1)
        free(self);
}

void
rmt_unsent_destroy(rmt_unsent_t **self_p)
{
    assert(self_p);
    if (*self_p)
        s_leave(rmt_take(self_p));
}

size_t
rmt_unsent_size(const rmt_unsent_t *self)
{
    assert(self);
    return atomic_load(&self->size);
}

static void
s_free(void *data, void *hint)
{
    (void) data; // Of the frame
    load_t *load = hint;
    atomic_fetch_sub(&load->unsent->size, zframe_size(load->frame));
    zframe_destroy(&load->frame);
    s_leave(load->unsent);
    free(load);
}

void
rmt_unsent_wrap(rmt_unsent_t *self, zframe_t **frame_p, zmq_msg_t *message_out)
{
    assert(self && frame_p && *frame_p && message_out);
    load_t *load = zmalloc(sizeof *load);
    load->unsent = self;
    load->frame = rmt_take(frame_p);
    atomic_fetch_add(&self->size, zframe_size(load->frame));
    atomic_fetch_add(&self->users, 1);
    const int rc = zmq_msg_init_data(message_out, zframe_data(load->frame),
                                     zframe_size(load->frame), s_free, load);
    assert(rc == 0);
}
