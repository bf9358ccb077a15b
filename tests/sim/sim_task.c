#include "sim/sim_task.h"

#include <string.h>
#include "base/rmt_auto.h"
#include "net/rmt_task.h"
#include "sim/sim_world.h"

struct rmt_task {
    rmt_msg_t *msg; // TASK
    rmt_task_setup_t setup;
    sim_process_t *owner;
    rmt_record_t *outputs;
    rmt_msg_t *reply;
    zlist_t *said;   // rmt_msg_t
    uint64_t serial; // Of PROGRESS and REQUEST
    uint64_t ticks;
    int steps;
    bool is_cancelled, is_over;
    bool is_dropped; // Its owner has let it go; the next step frees it
    sim_task_end_fn *on_end;
    void *end_context;
};

static void
s_free(rmt_task_t *self)
{
    rmt_msg_t *msg;
    while ((msg = zlist_pop(self->said)))
        rmt_msg_destroy(&msg);
    zlist_destroy(&self->said);
    rmt_msg_destroy(&self->msg);
    rmt_msg_destroy(&self->reply);
    rmt_record_destroy(&self->outputs);
    free(self);
}

static void
s_say(rmt_task_t *self, rmt_msg_t *msg)
{
    zlist_append(self->said, msg);
    sim_process_wake(self->owner, 0);
}

static void
s_end(rmt_task_t *self)
{
    if (self->on_end && !self->is_over)
        self->on_end(self->end_context);
    self->is_over = true;
}

static void
s_on_step(void *context, bool is_void)
{
    rmt_task_t *self = context;
    if (self->is_dropped) {
        s_free(self);
        return;
    }
    rmt_error_t error = {0};
    const int rc = is_void ? 0
                   : self->is_cancelled
                       ? rmt_fail(&error, RMT_E_CANCELLED, "cancelled")
                       : self->setup.run(self, self->setup.context, &error);
    self->steps++;
    if (rc > 0) {
        sim_after((int64_t) rc * SIM_MS, self->owner, s_on_step, self);
        return;
    }
    if (!is_void)
        s_say(self, rmt_task_result(self->msg, &error, self->outputs));
    s_end(self);
}

// ---- rmt_task.h

rmt_task_t *
rmt_task_new(rmt_msg_t **msg_p, const rmt_task_setup_t *setup)
{
    rmt_task_t *self = zmalloc(sizeof *self);
    self->msg = rmt_take(msg_p);
    rmt_msg_body(self->msg);
    self->setup = *setup;
    self->owner = sim_process_self();
    self->outputs = rmt_record_new();
    self->said = zlist_new();
    sim_after(sim_between(100, 5000), self->owner, s_on_step, self);
    return self;
}

void
rmt_task_destroy(rmt_task_t **self_p)
{
    rmt_task_t *self = rmt_take(self_p);
    if (!self)
        return;
    if (self->is_over) {
        s_free(self);
        return;
    }
    s_end(self);
    self->is_dropped = true;
}

zsock_t *
rmt_task_pipe(rmt_task_t *self)
{
    (void) self;
    return NULL;
}

rmt_msg_t *
rmt_task_recv(rmt_task_t *self)
{
    return zlist_pop(self->said);
}

void
rmt_task_give(rmt_task_t *self, const rmt_msg_t *reply, const char *host)
{
    (void) host;
    rmt_msg_destroy(&self->reply);
    self->reply = rmt_msg_new(RMT_MSG_REPLY);
    self->reply->code = reply->code;
    rmt_msg_text(&self->reply->text, reply->text ? reply->text : "");
}

void
rmt_task_cancel(rmt_task_t *self)
{
    self->is_cancelled = true;
}

uint64_t
rmt_task_ticks(const rmt_task_t *self)
{
    return self->ticks;
}

// ---- rmt_worker.h, for task functions

const uint8_t *
rmt_task_job(const rmt_task_t *self)
{
    return self->msg->job;
}

uint32_t
rmt_task_attempt(const rmt_task_t *self)
{
    return self->msg->attempt;
}

uint32_t
rmt_task_era(const rmt_task_t *self)
{
    return self->msg->era;
}

uint64_t
rmt_task_epoch(const rmt_task_t *self)
{
    return self->msg->epoch;
}

const rmt_record_t *
rmt_task_body(const rmt_task_t *self)
{
    return self->msg->body;
}

rmt_record_t *
rmt_task_outputs(rmt_task_t *self)
{
    return self->outputs;
}

void
rmt_task_progress(rmt_task_t *self, const char *phase, uint64_t done, uint64_t total,
                  const char *text)
{
    self->ticks++;
    rmt_msg_t *msg = rmt_msg_new(RMT_MSG_PROGRESS);
    memcpy(msg->task, self->msg->task, RMT_UID_SIZE);
    msg->attempt = self->msg->attempt;
    msg->sequence = ++self->serial;
    msg->done = done;
    msg->total = total;
    rmt_msg_text(&msg->phase, phase);
    rmt_msg_text(&msg->text, text ? text : "");
    s_say(self, msg);
}

void
rmt_task_tick(rmt_task_t *self)
{
    self->ticks++;
}

// ---- For the functions that are played

int
sim_task_step(const rmt_task_t *self)
{
    return self->steps;
}

void
sim_task_ask(rmt_task_t *self, const char *verb, const rmt_record_t *body,
             const rmt_records_t *items)
{
    rmt_msg_t *msg = rmt_msg_new(RMT_MSG_REQUEST);
    msg->sequence = ++self->serial;
    rmt_msg_text(&msg->verb, verb);
    msg->body = rmt_record_dup(body);
    msg->items = rmt_records_dup(items);
    s_say(self, msg);
}

const rmt_msg_t *
sim_task_reply(const rmt_task_t *self)
{
    return self->reply;
}

void
sim_task_on_end(rmt_task_t *self, sim_task_end_fn *fn, void *context)
{
    self->on_end = fn;
    self->end_context = context;
}
