#include "net/rmt_held_task.h"
#include "base/rmt_auto.h"
#include "base/rmt_failpoint.h"
#include "base/rmt_clock.h"

#include <assert.h>
#include <string.h>

#define RESULT_MS 3000  // Until a result that was not recorded is sent again
#define REQUEST_MS 5000 // Likewise a request without a reply
#define BUSY_MS 200     // Likewise one that the broker could not do now; it doubles
#define LATER_MS 50000  // How long the broker may say so, until the task hears it
#define STILL_MS 120000 // How long a sign of life may stand still in other phases

typedef struct {
    const char *phase;
    int64_t still_ms;
} limit_t;

// One format or one call of the firmware tells nothing while it runs; copying does.
static const limit_t s_limits[] = {
    {"format", 600000},
    {"unpack", 60000},
    {"verify", 60000},
};

typedef struct {
    rmt_msg_t *msg; // REQUEST without a REPLY yet, or NULL
    int64_t first_at, sent_at;
    int64_t wait_ms; // Until it is sent again
    int64_t busy_ms; // The pause after the next BUSY or UNAVAILABLE
    uint64_t serial; // The task's own number of it
} request_t;

struct rmt_held_task {
    rmt_held_task_state_t state;
    size_t service;
    uint8_t id[RMT_UID_SIZE];
    uint32_t attempt;
    rmt_msg_t *msg;       // TASK; NULL while the task has it
    rmt_msg_t *successor; // TASK with a higher attempt, after this one
    rmt_task_t *task;     // While it runs
    rmt_msg_t *result, *progress;
    int64_t result_at; // Last sent
    request_t requests[RMT_TASK_ASKS_MAX];
    uint64_t ticks;
    int64_t moved_at;
};

static void
s_drop_requests(rmt_held_task_t *self)
{
    for (size_t i = 0; i < RMT_TASK_ASKS_MAX; i++)
        rmt_msg_destroy(&self->requests[i].msg);
}

static void
s_adopt(rmt_held_task_t *self, rmt_msg_t **msg_p)
{
    rmt_msg_destroy(&self->msg);
    rmt_msg_destroy(&self->result);
    rmt_msg_destroy(&self->progress);
    s_drop_requests(self);
    self->msg = rmt_take(msg_p);
    self->attempt = self->msg->attempt;
    self->state = RMT_HELD_TASK_WAITING;
}

rmt_held_task_t *
rmt_held_task_new(rmt_msg_t **msg_p, size_t service)
{
    assert(msg_p && *msg_p);
    rmt_held_task_t *self = zmalloc(sizeof *self);
    memcpy(self->id, (*msg_p)->task, RMT_UID_SIZE);
    self->service = service;
    s_adopt(self, msg_p);
    return self;
}

void
rmt_held_task_destroy(rmt_held_task_t **self_p)
{
    assert(self_p);
    rmt_held_task_t *self = rmt_take(self_p);
    if (!self)
        return;
    rmt_task_destroy(&self->task);
    rmt_msg_destroy(&self->msg);
    rmt_msg_destroy(&self->successor);
    rmt_msg_destroy(&self->result);
    rmt_msg_destroy(&self->progress);
    s_drop_requests(self);
    free(self);
}

rmt_held_task_state_t
rmt_held_task_state(const rmt_held_task_t *self)
{
    return self->state;
}

const uint8_t *
rmt_held_task_id(const rmt_held_task_t *self)
{
    return self->id;
}

uint32_t
rmt_held_task_attempt(const rmt_held_task_t *self)
{
    return self->successor ? self->successor->attempt : self->attempt;
}

size_t
rmt_held_task_service(const rmt_held_task_t *self)
{
    return self->service;
}

zsock_t *
rmt_held_task_pipe(rmt_held_task_t *self)
{
    return self->task ? rmt_task_pipe(self->task) : NULL;
}

// ---- Steps

void
rmt_held_task_start(rmt_held_task_t *self, const rmt_task_setup_t *setup)
{
    assert(self->state == RMT_HELD_TASK_WAITING && self->msg);
    self->task = rmt_task_new(&self->msg, setup);
    self->ticks = 0;
    self->moved_at = rmt_clock_ms();
    self->state = RMT_HELD_TASK_RUNNING;
}

void
rmt_held_task_cancel(rmt_held_task_t *self, rmt_code_t code, const char *text)
{
    rmt_msg_destroy(&self->successor);
    if (self->state == RMT_HELD_TASK_RUNNING)
        rmt_task_cancel(self->task);
    if (self->state != RMT_HELD_TASK_WAITING)
        return;
    rmt_error_t error = {0};
    rmt_fail(&error, code, "%s", text);
    self->result = rmt_task_result(self->msg, &error, NULL);
    self->result_at = 0;
    self->state = RMT_HELD_TASK_ENDED;
}

void
rmt_held_task_replace(rmt_held_task_t *self, rmt_msg_t **msg_p)
{
    if (self->state == RMT_HELD_TASK_RUNNING) {
        rmt_task_cancel(self->task);
        rmt_msg_destroy(&self->successor);
        self->successor = rmt_take(msg_p);
    } else {
        s_adopt(self, msg_p);
    }
}

static void
s_send_result(rmt_held_task_t *self, rmt_peer_t *peer)
{
    rmt_error_t error = {0};
    self->result_at = rmt_clock_ms();
    // What is not sent now is sent again until it is recorded.
    if (RMT_FAILPOINT("worker.result.send") == -1)
        return;
    (void) rmt_peer_send(peer, self->result, &error);
    (void) RMT_FAILPOINT("worker.result.sent");
}

static void
s_send_request(request_t *request, rmt_peer_t *peer)
{
    rmt_error_t error = {0};
    request->sent_at = rmt_clock_ms();
    request->wait_ms = REQUEST_MS;
    (void) rmt_peer_send(peer, request->msg, &error);
}

// One that the task has given up frees its slot for the next.
static void
s_take_request(rmt_held_task_t *self, rmt_msg_t **msg_p, rmt_peer_t *peer,
               uint64_t *sequence)
{
    request_t *request = &self->requests[0];
    for (size_t i = 0; request->msg && i < RMT_TASK_ASKS_MAX; i++)
        if (!self->requests[i].msg || self->requests[i].serial < request->serial)
            request = &self->requests[i];
    rmt_msg_destroy(&request->msg);
    request->msg = rmt_take(msg_p);
    request->serial = request->msg->sequence;
    request->busy_ms = BUSY_MS;
    request->first_at = rmt_clock_ms();
    request->msg->sequence = ++*sequence;
    s_send_request(request, peer);
}

static void
s_send_progress(rmt_held_task_t *self, rmt_peer_t *peer)
{
    rmt_error_t error = {0};
    (void) rmt_peer_send(peer, self->progress, &error);
}

static void
s_tell(const rmt_held_task_ear_t *ear, const rmt_msg_t *msg)
{
    if (ear->told)
        ear->told(ear->context, msg);
}

// What cannot be sent now is kept here and goes out by rmt_held_task_resend.
static void
s_take_msg(rmt_held_task_t *self, rmt_msg_t **msg_p, rmt_peer_t *peer, uint64_t *sequence,
           const rmt_held_task_ear_t *ear)
{
    switch ((*msg_p)->kind) {
    case RMT_MSG_PROGRESS:
        rmt_msg_destroy(&self->progress);
        self->progress = rmt_take(msg_p);
        s_send_progress(self, peer);
        s_tell(ear, self->progress);
        break;
    case RMT_MSG_REQUEST:
        s_take_request(self, msg_p, peer, sequence);
        break;
    default:
        assert((*msg_p)->kind == RMT_MSG_RESULT);
        s_drop_requests(self);
        self->result = rmt_take(msg_p);
        self->state = RMT_HELD_TASK_ENDED;
        s_tell(ear, self->result);
    }
}

void
rmt_held_task_read(rmt_held_task_t *self, rmt_peer_t *peer, uint64_t *sequence,
                   const rmt_held_task_ear_t *ear)
{
    if (self->state != RMT_HELD_TASK_RUNNING)
        return;
    rmt_msg_t *msg;
    while (self->state == RMT_HELD_TASK_RUNNING && (msg = rmt_task_recv(self->task))) {
        s_take_msg(self, &msg, peer, sequence, ear);
        rmt_msg_destroy(&msg);
    }
    if (self->state != RMT_HELD_TASK_ENDED)
        return;
    rmt_task_destroy(&self->task);
    if (self->successor)
        s_adopt(self, &self->successor);
    else
        s_send_result(self, peer);
}

void
rmt_held_task_resend(rmt_held_task_t *self, rmt_peer_t *peer, bool all)
{
    const int64_t now = rmt_clock_ms();
    if (self->progress && all)
        s_send_progress(self, peer);
    if (self->result && (all || now - self->result_at >= RESULT_MS))
        s_send_result(self, peer);
    for (size_t i = 0; i < RMT_TASK_ASKS_MAX; i++) {
        request_t *request = &self->requests[i];
        if (request->msg && (all || now - request->sent_at >= request->wait_ms))
            s_send_request(request, peer);
    }
}

bool
rmt_held_task_take_reply(rmt_held_task_t *self, rmt_msg_t *reply, const char *host)
{
    request_t *request = NULL;
    for (size_t i = 0; !request && i < RMT_TASK_ASKS_MAX; i++)
        if (self->requests[i].msg && self->requests[i].msg->sequence == reply->sequence)
            request = &self->requests[i];
    if (!request)
        return false;
    // Too much to do, or Redis is away: the task waits on, and the request is sent again.
    const bool is_later = reply->code == RMT_E_BUSY || rmt_msg_is_away(reply);
    if (is_later && rmt_clock_ms() - request->first_at < LATER_MS) {
        request->wait_ms = request->busy_ms;
        request->busy_ms =
            request->busy_ms * 2 > REQUEST_MS ? REQUEST_MS : request->busy_ms * 2;
        return true;
    }
    rmt_msg_destroy(&request->msg);
    reply->sequence = request->serial; // The task counts its requests by itself
    rmt_task_give(self->task, reply, host);
    return true;
}

// ---- Signs of life

bool
rmt_held_task_is_alive(rmt_held_task_t *self, int64_t now)
{
    if (self->state != RMT_HELD_TASK_RUNNING)
        return true;
    const uint64_t ticks = rmt_task_ticks(self->task);
    if (ticks != self->ticks)
        self->moved_at = now;
    self->ticks = ticks;
    int64_t limit = STILL_MS;
    for (size_t i = 0; self->progress && i < sizeof s_limits / sizeof *s_limits; i++)
        if (streq(self->progress->phase, s_limits[i].phase))
            limit = s_limits[i].still_ms;
    return now - self->moved_at < limit;
}

uint64_t
rmt_held_task_ticks(const rmt_held_task_t *self)
{
    return self->ticks;
}
