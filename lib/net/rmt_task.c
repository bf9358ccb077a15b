#include "net/rmt_task.h"
#include "facts/rmt_endpoint.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "wire/rmt_codec.h"
#include "base/rmt_log.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#define PROGRESS_MS 500  // Percentages at most so often
#define REQUEST_MS 60000 // How long a task waits for a REPLY
#define WAKE_MS 100      // How often a waiting task looks whether it is cancelled
#define PHASE_SIZE 64
#define TEXT_SIZE 512
#define VERB_SIZE 64
#define OUTPUT_COUNT_MAX 256
// Leaves space for the other fields of the envelope.
#define OUTPUT_SIZE_MAX (RMT_CONTROL_SIZE_MAX - 16 * 1024)

typedef struct {
    uint64_t serial;  // 0: free
    rmt_msg_t *reply; // NULL until it has come
    char verb[VERB_SIZE];
} ask_t;

struct rmt_task {
    zactor_t *actor;
    rmt_msg_t *msg; // TASK
    rmt_task_setup_t setup;
    char host[RMT_ENDPOINT_HOST_SIZE];
    rmt_record_t *outputs;
    atomic_uint_fast64_t ticks;
    atomic_bool cancelled;
    // The task's thread alone uses what follows.
    zsock_t *pipe;
    uint64_t request_serial, progress_serial;
    ask_t asks[RMT_TASK_ASKS_MAX];
    char phase[PHASE_SIZE];
    bool complete; // The phase's last figure was told
    bool waits;    // The last PROGRESS said what the task waits for
    uint64_t done, total;
    int64_t told_at;
};

// ---- The thread

// Outputs that no envelope could carry become an error of the task.
static int
s_check_outputs(const rmt_record_t *outputs, rmt_error_t *error)
{
    const size_t count = rmt_record_count(outputs);
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        size_t size = 0;
        rmt_record_value_at(outputs, i, &size);
        total += size + RMT_RECORD_NAME_MAX + 16;
    }
    if (count > OUTPUT_COUNT_MAX || total > OUTPUT_SIZE_MAX)
        return rmt_fail(
            error, RMT_E_TOO_BIG,
            "the outputs have %zu fields and %zu bytes, too many for a RESULT", count,
            total);
    return 0;
}

static void
s_main(zsock_t *pipe, void *argument)
{
    rmt_task_t *self = argument;
    self->pipe = pipe;
    zsock_signal(pipe, 0);
    rmt_error_t error = {0};
    const int rc = self->setup.run(self, self->setup.context, &error);
    if (rc == 0)
        error = (rmt_error_t){0};
    else if (error.code == RMT_E_OK)
        rmt_fail(&error, RMT_E_INTERNAL, "the task failed without a reason");
    const bool fit = s_check_outputs(self->outputs, &error) == 0;
    rmt_auto(rmt_msg) result =
        rmt_task_result(self->msg, &error, fit ? self->outputs : NULL);
    rmt_auto(zframe) frame = rmt_codec_encode(result);
    zframe_send(&frame, pipe, 0);
}

// ---- For the control thread

rmt_task_t *
rmt_task_new(rmt_msg_t **msg_p, const rmt_task_setup_t *setup)
{
    assert(msg_p && *msg_p && setup && setup->run);
    rmt_task_t *self = zmalloc(sizeof *self);
    self->msg = rmt_take(msg_p);
    rmt_msg_body(self->msg);
    self->setup = *setup;
    snprintf(self->host, sizeof self->host, "%s", setup->host);
    self->outputs = rmt_record_new();
    atomic_init(&self->ticks, 0);
    atomic_init(&self->cancelled, false);
    self->actor = zactor_new(s_main, self);
    assert(self->actor);
    return self;
}

void
rmt_task_destroy(rmt_task_t **self_p)
{
    assert(self_p);
    rmt_task_t *self = rmt_take(self_p);
    if (!self)
        return;
    rmt_task_cancel(self);
    zactor_destroy(&self->actor);
    for (size_t i = 0; i < RMT_TASK_ASKS_MAX; i++)
        rmt_msg_destroy(&self->asks[i].reply);
    rmt_msg_destroy(&self->msg);
    rmt_record_destroy(&self->outputs);
    free(self);
}

zsock_t *
rmt_task_pipe(rmt_task_t *self)
{
    assert(self);
    return zactor_sock(self->actor);
}

rmt_msg_t *
rmt_task_recv(rmt_task_t *self)
{
    assert(self);
    if (!(zsock_events(self->actor) & ZMQ_POLLIN))
        return NULL;
    rmt_auto(zframe) frame = zframe_recv(self->actor);
    rmt_error_t error = {0};
    rmt_msg_t *msg =
        frame ? rmt_codec_decode(zframe_data(frame), zframe_size(frame), &error) : NULL;
    // Our own thread wrote it by the same codec.
    assert(!frame || msg);
    return msg;
}

void
rmt_task_give(rmt_task_t *self, const rmt_msg_t *reply, const char *host)
{
    assert(self && reply && host);
    rmt_auto(zmsg) packet = zmsg_new();
    zmsg_addstr(packet, host);
    zframe_t *frame = rmt_codec_encode(reply);
    zmsg_append(packet, &frame);
    zmsg_send(&packet, self->actor);
}

void
rmt_task_cancel(rmt_task_t *self)
{
    assert(self);
    atomic_store(&self->cancelled, true);
}

uint64_t
rmt_task_ticks(const rmt_task_t *self)
{
    assert(self);
    return atomic_load(&self->ticks);
}

// ---- For task functions

const uint8_t *
rmt_task_id(const rmt_task_t *self)
{
    return self->msg->task;
}

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

const char *
rmt_task_host(const rmt_task_t *self)
{
    return self->host;
}

void
rmt_task_tick(rmt_task_t *self)
{
    assert(self);
    atomic_fetch_add(&self->ticks, 1);
}

bool
rmt_task_cancelled(const rmt_task_t *self)
{
    assert(self);
    return atomic_load(&self->cancelled);
}

bool
rmt_task_go_on(void *task)
{
    rmt_task_tick(task);
    return !rmt_task_cancelled(task);
}

// Percentages may be lost, a new phase and a phase's last figure may not.
static bool
s_is_worth_telling(const rmt_task_t *self, const char *phase, bool complete, bool waits,
                   int64_t now)
{
    return self->progress_serial == 0 || strneq(self->phase, phase) ||
           waits != self->waits || (complete && !self->complete) ||
           now - self->told_at >= PROGRESS_MS;
}

void
rmt_task_progress(rmt_task_t *self, const char *phase, uint64_t done, uint64_t total,
                  const char *text)
{
    assert(self && phase && strlen(phase) < PHASE_SIZE);
    rmt_task_tick(self);
    const int64_t now = rmt_clock_ms();
    const bool complete = total > 0 && done >= total;
    const bool waits = text && *text;
    self->done = done;
    self->total = total;
    if (!s_is_worth_telling(self, phase, complete, waits, now))
        return;
    if (phase != self->phase)
        snprintf(self->phase, sizeof self->phase, "%s", phase);
    self->complete = complete;
    self->waits = waits;
    self->told_at = now;
    char safe[TEXT_SIZE];
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_PROGRESS);
    memcpy(msg->task, self->msg->task, RMT_UID_SIZE);
    msg->attempt = self->msg->attempt;
    msg->sequence = ++self->progress_serial;
    msg->done = done;
    msg->total = total;
    rmt_msg_text(&msg->phase, phase);
    rmt_msg_text(&msg->text, rmt_log_escape(safe, sizeof safe, text ? text : ""));
    rmt_auto(zframe) frame = rmt_codec_encode(msg);
    zframe_send(&frame, self->pipe, ZFRAME_DONTWAIT);
}

void
rmt_task_waits(rmt_task_t *self, const char *text)
{
    assert(self);
    if (text || self->waits)
        rmt_task_progress(self, *self->phase ? self->phase : "await-holder", self->done,
                          self->total, text);
}

// ---- Requests

static ask_t *
s_find_ask(rmt_task_t *self, uint64_t serial)
{
    for (size_t i = 0; i < RMT_TASK_ASKS_MAX; i++)
        if (self->asks[i].serial == serial)
            return &self->asks[i];
    return NULL;
}

int
rmt_task_ask(rmt_task_t *self, const char *verb, const rmt_record_t *body,
             const rmt_records_t *items, uint64_t *ask_out, rmt_error_t *error)
{
    assert(self && verb && ask_out && error);
    ask_t *ask = s_find_ask(self, 0);
    assert(ask);
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_REQUEST);
    msg->sequence = self->request_serial + 1;
    rmt_msg_text(&msg->verb, verb);
    if (body) {
        msg->body = rmt_record_dup(body);
        rmt_msg_text(&msg->cursor, rmt_record_text(body, "cursor", ""));
        rmt_record_remove(msg->body, "cursor");
    }
    if (items)
        msg->items = rmt_records_dup(items);
    rmt_auto(zframe) frame = rmt_codec_encode(msg);
    if (zframe_size(frame) > RMT_CONTROL_SIZE_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG,
                        "the request has %zu bytes, too many for a message",
                        zframe_size(frame));
    zframe_send(&frame, self->pipe, 0);
    *ask_out = ask->serial = ++self->request_serial;
    snprintf(ask->verb, sizeof ask->verb, "%s", verb);
    return 0;
}

// Keep what came for the ask that it belongs to; a reply to none is dropped.
static void
s_read_reply(rmt_task_t *self)
{
    rmt_auto(zmsg) packet = zmsg_recv(self->pipe);
    rmt_auto_str host = packet ? zmsg_popstr(packet) : NULL;
    rmt_auto(zframe) frame = packet ? zmsg_pop(packet) : NULL;
    if (!host || !frame) {
        // The worker is ending this thread ($TERM), so there will be no reply.
        if (host)
            rmt_task_cancel(self);
        return;
    }
    snprintf(self->host, sizeof self->host, "%s", host);
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) msg =
        rmt_codec_decode(zframe_data(frame), zframe_size(frame), &error);
    ask_t *ask = msg && msg->sequence ? s_find_ask(self, msg->sequence) : NULL;
    if (ask && !ask->reply)
        ask->reply = rmt_take(&msg);
}

static int
s_wait_reply(rmt_task_t *self, const ask_t *ask, rmt_error_t *error)
{
    const int64_t until = rmt_clock_ms() + REQUEST_MS;
    zmq_pollitem_t item = {zsock_resolve(self->pipe), 0, ZMQ_POLLIN, 0};
    while (!ask->reply) {
        if (rmt_task_cancelled(self))
            return rmt_fail(error, RMT_E_CANCELLED, "%s: the task was cancelled",
                            ask->verb);
        if (rmt_clock_ms() >= until)
            return rmt_fail(error, RMT_E_UNAVAILABLE,
                            "%s: no broker answered within %d s", ask->verb,
                            REQUEST_MS / 1000);
        // A task that waits for the broker is alive; REQUEST_MS bounds the wait.
        rmt_task_tick(self);
        if (zmq_poll(&item, 1, WAKE_MS) == 1)
            s_read_reply(self);
    }
    return 0;
}

bool
rmt_task_is_answered(rmt_task_t *self, uint64_t serial)
{
    const ask_t *ask = s_find_ask(self, serial);
    zmq_pollitem_t item = {zsock_resolve(self->pipe), 0, ZMQ_POLLIN, 0};
    assert(ask);
    while (!ask->reply && zmq_poll(&item, 1, 0) == 1)
        s_read_reply(self);
    return ask->reply;
}

rmt_msg_t *
rmt_task_answer(rmt_task_t *self, uint64_t serial, rmt_error_t *error)
{
    assert(self && serial && error);
    ask_t *ask = s_find_ask(self, serial);
    assert(ask);
    const int rc = s_wait_reply(self, ask, error);
    rmt_auto(rmt_msg) reply = rmt_take(&ask->reply);
    ask->serial = 0;
    if (rc == -1)
        return NULL;
    if (reply->code != RMT_E_OK) {
        rmt_fail(error, rmt_code_from(reply->code), "%s",
                 reply->text ? reply->text : ask->verb);
        return NULL;
    }
    return rmt_take(&reply);
}

rmt_msg_t *
rmt_task_request(rmt_task_t *self, const char *verb, const rmt_record_t *body,
                 const rmt_records_t *items, rmt_error_t *error)
{
    uint64_t ask;
    if (rmt_task_ask(self, verb, body, items, &ask, error) == -1)
        return NULL;
    return rmt_task_answer(self, ask, error);
}
