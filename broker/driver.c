#include "broker/driver.h"

#include "broker/dispatch.h"
#include "broker/events.h"
#include "base/rmt_auto.h"
#include "base/rmt_log.h"
#include "broker/saver.h"

#define TRIES_MAX 20 // A job that others move at the same time is looked at anew

typedef struct {
    rmt_record_t *claim; // NULL: drive
    rmt_record_t *outputs;
    rmt_driver_fn *done;
} errand_t;

typedef struct {
    rmt_driver_t *driver;
    char job[33];
    zlist_t *errands;   // The first is the one under way
    rmt_record_t *step; // The step under way
    rmt_records_t *ops; // Likewise
    char rev[24];       // Of the job in the last view; "": there is none yet
    int tries;
    bool is_driven; // A drive stands in the list already
} queue_t;

struct rmt_driver {
    rmt_broker_t *broker;
    zhashx_t *queues; // Job -> queue_t
};

static void s_begin(queue_t *queue);

static void
s_errand_destroy(errand_t **self_p)
{
    errand_t *self = *self_p;
    if (self) {
        rmt_record_destroy(&self->claim);
        rmt_record_destroy(&self->outputs);
        free(self);
        *self_p = NULL;
    }
}

static void
s_queue_destroy(void **item_p)
{
    queue_t *self = *item_p;
    if (!self)
        return;
    errand_t *errand;
    while ((errand = zlist_pop(self->errands)))
        s_errand_destroy(&errand);
    zlist_destroy(&self->errands);
    rmt_record_destroy(&self->step);
    rmt_records_destroy(&self->ops);
    free(self);
    *item_p = NULL;
}

rmt_driver_t *
rmt_driver_new(rmt_broker_t *broker)
{
    rmt_driver_t *self = zmalloc(sizeof *self);
    self->broker = broker;
    self->queues = zhashx_new();
    zhashx_set_destructor(self->queues, s_queue_destroy);
    return self;
}

void
rmt_driver_destroy(rmt_driver_t **self_p)
{
    rmt_driver_t *self = *self_p;
    if (self) {
        zhashx_destroy(&self->queues);
        free(self);
        *self_p = NULL;
    }
}

// ---- One errand: view, decide, step

// The job, and the result that the errand brings. Caller owns.
static rmt_record_t *
s_call_body(const queue_t *queue)
{
    const errand_t *errand = zlist_first(queue->errands);
    rmt_record_t *body = errand->claim ? rmt_record_dup(errand->claim) : rmt_record_new();
    rmt_record_set(body, "job", queue->job);
    return body;
}

static void
s_finish(queue_t *queue, rmt_code_t code, const char *text)
{
    rmt_driver_t *self = queue->driver;
    errand_t *errand = zlist_pop(queue->errands);
    rmt_records_destroy(&queue->ops);
    queue->tries = 0;
    if (code != RMT_E_OK && code != RMT_E_CANCELLED)
        rmt_log(code == RMT_E_FENCED ? RMT_INFO : RMT_WARN, "job.step.refused",
                "job=%s code=%s text=\"%s\"", queue->job, rmt_code_name(code), text);
    if (errand->done && code != RMT_E_CANCELLED)
        errand->done(self->broker, errand->claim, code);
    s_errand_destroy(&errand);
    if (zlist_size(queue->errands) > 0 && code != RMT_E_CANCELLED)
        s_begin(queue);
    else if (code != RMT_E_CANCELLED)
        zhashx_delete(self->queues, queue->job);
}

// The library found the job moved on since the view. False: it did not.
static bool
s_look_again(queue_t *queue, const rmt_msg_t *reply)
{
    if (reply->code != RMT_E_OK || !rmt_record_has(reply->body, "again"))
        return false;
    if (queue->tries < TRIES_MAX)
        s_begin(queue);
    else
        s_finish(queue, RMT_E_UNAVAILABLE, "other brokers changed this job at each try");
    return true;
}

static void
s_on_given_up(void *context, rmt_msg_t *reply)
{
    queue_t *queue = context;
    if (s_look_again(queue, reply))
        return;
    if (reply->code == RMT_E_OK)
        rmt_events_tail(queue->driver->broker->events);
    s_finish(queue, rmt_code_from(reply->code), reply->text ? reply->text : "");
}

// Whether the job stays as it is: the errand is done, or may be tried again, or (FENCED,
// NOT_FOUND) is about what is gone.
static bool
s_leaves_job(rmt_code_t code)
{
    return code == RMT_E_OK || code == RMT_E_UNAVAILABLE || code == RMT_E_BUSY ||
           code == RMT_E_TIMEOUT || code == RMT_E_CANCELLED || code == RMT_E_FENCED ||
           code == RMT_E_NOT_FOUND;
}

static void
s_tell_given_up(const queue_t *queue, rmt_code_t code, const char *text)
{
    rmt_log(RMT_WARN, "job.step.given-up", "job=%s code=%s text=\"%s\"", queue->job,
            rmt_code_name(code), text);
}

// The library has answered the errand. What it would refuse at each further try ends with
// its reason, for a worker would send its result again without end.
static void
s_answered(queue_t *queue, const rmt_msg_t *reply)
{
    const rmt_code_t code = rmt_code_from(reply->code);
    const char *text = reply->text ? reply->text : "";
    if (s_leaves_job(code)) {
        s_finish(queue, code, text);
        return;
    }
    s_tell_given_up(queue, code, text);
    rmt_auto(rmt_record) body = s_call_body(queue);
    rmt_record_set(body, "rev", queue->rev);
    rmt_record_set_u64(body, "code", code);
    rmt_record_set(body, "text", text);
    rmt_broker_call(queue->driver->broker, "job_give_up", body, s_on_given_up, queue);
}

static void
s_on_step(void *context, rmt_msg_t *reply)
{
    queue_t *queue = context;
    rmt_broker_t *broker = queue->driver->broker;
    if (s_look_again(queue, reply))
        return;
    if (reply->code == RMT_E_OK) {
        if (rmt_record_has(reply->body, "error"))
            s_tell_given_up(queue, RMT_E_INTERNAL,
                            rmt_record_text(reply->body, "error", ""));
        rmt_events_tail(broker->events);
        if (rmt_record_is(reply->body, "driven", "true"))
            rmt_driver_drive(queue->driver, queue->job);
    }
    s_answered(queue, reply);
}

static bool
s_has_arm(const rmt_records_t *ops)
{
    return rmt_records_find(ops, "op", "arm");
}

static void
s_step(queue_t *queue)
{
    const rmt_call_t call = {
        .function = "job_step", .body = queue->step, .items = queue->ops};
    rmt_state_call(queue->driver->broker->state, &call, s_on_step, queue);
}

static void
s_on_saved(void *context, const rmt_error_t *error)
{
    queue_t *queue = context;
    if (error->code == RMT_E_OK)
        s_step(queue);
    else
        s_finish(queue, error->code, error->text);
}

static void
s_on_view(void *context, rmt_msg_t *reply)
{
    queue_t *queue = context;
    const errand_t *errand = zlist_first(queue->errands);
    if (reply->code != RMT_E_OK) {
        s_answered(queue, reply);
        return;
    }
    const rmt_job_view_t view = rmt_view_of(reply);
    snprintf(queue->rev, sizeof queue->rev, "%s", rmt_record_text(view.job, "rev", ""));
    rmt_auto(rmt_record) body = s_call_body(queue);
    rmt_record_set(body, "rev", queue->rev);
    rmt_records_destroy(&queue->ops);
    if (!errand->claim) {
        queue->ops = rmt_dispatch(&view, NULL);
    } else if (view.task) {
        const rmt_result_t result = {rmt_code_from((uint32_t) rmt_record_u64(
                                         errand->claim, "code", RMT_E_INTERNAL)),
                                     rmt_record_text(errand->claim, "text", ""),
                                     errand->outputs};
        queue->ops = rmt_dispatch(&view, &result);
    } else {
        queue->ops = rmt_records_new();
    }
    rmt_record_destroy(&queue->step);
    queue->step = rmt_take(&body);
    if (s_has_arm(queue->ops)) // Never arm what could not be fenced later
        rmt_saver_save(queue->driver->broker->saver, s_on_saved, queue);
    else
        s_step(queue);
}

static void
s_begin(queue_t *queue)
{
    const errand_t *errand = zlist_first(queue->errands);
    queue->tries++;
    queue->rev[0] = '\0';
    if (!errand->claim)
        queue->is_driven = false; // What changes from here on needs another look
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "job", queue->job);
    if (errand->claim)
        rmt_record_set(body, "task", rmt_record_text(errand->claim, "task", ""));
    rmt_broker_call(queue->driver->broker, "job_view", body, s_on_view, queue);
}

// ---- Queues

static void
s_add(rmt_driver_t *self, const char *job, errand_t *errand)
{
    queue_t *queue = zhashx_lookup(self->queues, job);
    const bool is_new = !queue;
    if (is_new) {
        queue = zmalloc(sizeof *queue);
        queue->driver = self;
        snprintf(queue->job, sizeof queue->job, "%s", job);
        queue->errands = zlist_new();
        zhashx_insert(self->queues, job, queue);
    }
    if (!errand->claim) {
        if (queue->is_driven) {
            s_errand_destroy(&errand);
            return;
        }
        queue->is_driven = true;
    }
    zlist_append(queue->errands, errand);
    if (is_new)
        s_begin(queue);
}

void
rmt_driver_drive(rmt_driver_t *self, const char *job)
{
    s_add(self, job, zmalloc(sizeof(errand_t)));
}

typedef struct {
    rmt_driver_t *driver;
    errand_t *errand;
} lookup_t;

static void
s_on_task(void *context, rmt_msg_t *reply)
{
    lookup_t *lookup = context;
    errand_t *errand = lookup->errand;
    if (reply->code == RMT_E_OK) {
        s_add(lookup->driver, rmt_record_text(reply->body, "job", ""), errand);
    } else {
        if (reply->code != RMT_E_CANCELLED)
            errand->done(lookup->driver->broker, errand->claim,
                         rmt_code_from(reply->code));
        s_errand_destroy(&errand);
    }
    free(lookup);
}

void
rmt_driver_result(rmt_driver_t *self, rmt_record_t **claim_p, rmt_record_t **outputs_p,
                  rmt_driver_fn *done)
{
    errand_t *errand = zmalloc(sizeof *errand);
    errand->claim = rmt_take(claim_p);
    errand->outputs = rmt_take(outputs_p);
    errand->done = done;
    const char *job = rmt_record_text(errand->claim, "job", "");
    if (*job) {
        s_add(self, job, errand);
        return;
    }
    // Taken over from another broker, or from before a restart: ask whose it is.
    lookup_t *lookup = zmalloc(sizeof *lookup);
    lookup->driver = self;
    lookup->errand = errand;
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "task", rmt_record_text(errand->claim, "task", ""));
    rmt_broker_call(self->broker, "task_show", body, s_on_task, lookup);
}
