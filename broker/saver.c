#include "broker/saver.h"

#include <assert.h>
#include "base/rmt_auto.h"
#include "broker/aside.h"

typedef struct {
    rmt_saver_fn *fn;
    void *context;
} waiter_t;

struct rmt_saver {
    rmt_broker_t *broker;
    rmt_aside_t *aside;
    zlist_t *waiting; // For the next write
    zlist_t *written; // For the one under way
    bool is_writing;
    rmt_broker_file_t file; // What is written; the loop leaves it alone
    rmt_error_t error;      // Likewise
};

rmt_saver_t *
rmt_saver_new(rmt_broker_t *broker)
{
    rmt_saver_t *self = zmalloc(sizeof *self);
    self->broker = broker;
    self->aside = rmt_aside_new();
    self->waiting = zlist_new();
    self->written = zlist_new();
    return self;
}

static void
s_tell(zlist_t *list, const rmt_error_t *error)
{
    waiter_t *waiter;
    while ((waiter = zlist_pop(list))) {
        waiter->fn(waiter->context, error);
        free(waiter);
    }
}

void
rmt_saver_destroy(rmt_saver_t **self_p)
{
    assert(self_p);
    rmt_saver_t *self = *self_p;
    if (!self)
        return;
    rmt_error_t error = {0};
    rmt_aside_destroy(&self->aside);
    rmt_fail(&error, RMT_E_CANCELLED, "the broker is ending");
    s_tell(self->written, &error);
    s_tell(self->waiting, &error);
    zlist_destroy(&self->written);
    zlist_destroy(&self->waiting);
    free(self);
    *self_p = NULL;
}

// In the thread.
static void
s_write(void *context)
{
    rmt_saver_t *self = context;
    (void) rmt_broker_file_write(self->broker, &self->file, &self->error);
}

static void s_begin(rmt_saver_t *self);

static void
s_on_written(void *context)
{
    rmt_saver_t *self = context;
    const rmt_error_t error = self->error;
    if (error.code == RMT_E_OK)
        rmt_broker_file_written(self->broker, &self->file);
    zlist_t *told = self->written;
    self->written = zlist_new();
    self->is_writing = false;
    s_tell(told, &error); // Which may ask again
    zlist_destroy(&told);
    if (!self->is_writing && zlist_size(self->waiting) > 0)
        s_begin(self);
}

static void
s_begin(rmt_saver_t *self)
{
    zlist_t *list = self->written;
    self->written = self->waiting;
    self->waiting = list;
    self->is_writing = true;
    self->error = (rmt_error_t){0};
    if (rmt_broker_file_due(self->broker, &self->file))
        rmt_aside_begin(self->aside, s_write, s_on_written, self);
    else
        s_on_written(self);
}

void
rmt_saver_save(rmt_saver_t *self, rmt_saver_fn *fn, void *context)
{
    assert(self && fn);
    waiter_t *waiter = zmalloc(sizeof *waiter);
    *waiter = (waiter_t){fn, context};
    zlist_append(self->waiting, waiter);
    if (!self->is_writing)
        s_begin(self);
}

int
rmt_saver_fd(const rmt_saver_t *self)
{
    return rmt_aside_fd(self->aside);
}

void
rmt_saver_handle(rmt_saver_t *self)
{
    rmt_aside_handle(self->aside);
}

void
rmt_saver_wait(rmt_saver_t *self)
{
    while (self->is_writing)
        rmt_aside_wait(self->aside);
}
