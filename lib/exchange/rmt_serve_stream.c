// The taking side of rmt_serve: OPEN, OFFER, CHUNKS, SEAL, and what streams answer.
#include <assert.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "exchange/rmt_credit.h"
#include "exchange/rmt_chunk_frame.h"
#include "exchange/rmt_serve_state.h"

#define OFFERS_MAX 64 // Not answered yet, of one stream

void
rmt_serve_end_stream(rmt_serve_state_t *self, rmt_caller_t *caller, const char *why)
{
    if (!caller->stream)
        return;
    zpoller_remove(self->poller, rmt_stream_socket(caller->stream));
    rmt_stream_destroy(&caller->stream);
    self->reserved -= caller->stream_window;
    self->stats.streams--;
    caller->offers = 0;
    caller->under_way = 0;
    if (caller->is_unsealed)
        rmt_serve_tell(self, "stream.broken", caller->user, why);
    caller->is_unsealed = false;
}

static void
s_send(rmt_serve_state_t *self, rmt_caller_t *caller, const rmt_msg_t *msg)
{
    rmt_error_t error = {0};
    // These are few and small, so a queue that is full of them is not being read.
    if (rmt_serve_send(self, caller, msg, &error) == -1)
        caller->is_gone = true;
}

static void
s_refuse(rmt_serve_state_t *self, rmt_caller_t *caller, rmt_code_t code, const char *text)
{
    self->stats.refused++;
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_REFUSED);
    msg->code = code;
    rmt_msg_text(&msg->text, text);
    s_send(self, caller, msg);
    if (caller->stream)
        rmt_serve_end_stream(self, caller, text);
    else
        rmt_serve_tell(self, "peer.refused", caller->user, text);
}

// ---- OPEN

static rmt_caller_t *
s_find_task(rmt_serve_state_t *self, const uint8_t task[RMT_UID_SIZE])
{
    for (rmt_caller_t *caller = zhashx_first(self->callers); caller;
         caller = zhashx_next(self->callers))
        if (caller->stream && memcmp(caller->task, task, RMT_UID_SIZE) == 0)
            return caller;
    return NULL;
}

static int
s_open(rmt_serve_state_t *self, rmt_caller_t *caller, const rmt_msg_t *msg,
       rmt_error_t *error)
{
    if (!self->receives ||
        !rmt_grants_may_offer(self->grants, caller->user, rmt_clock_ms())) {
        self->stats.refused++;
        rmt_serve_tell(self, "peer.refused", caller->user,
                       "the key has no grant to offer chunks");
        return rmt_fail(error, RMT_E_NOT_ALLOWED,
                        "this key has no grant to offer chunks to this worker");
    }
    rmt_caller_t *old = s_find_task(self, msg->task);
    if (old && !streq(old->user, caller->user)) {
        rmt_serve_tell(self, "peer.refused", caller->user,
                       "the task has a stream of another key");
        return rmt_fail(error, RMT_E_NOT_ALLOWED,
                        "this task has a stream of another key");
    }
    if (old && old->attempt > msg->attempt)
        return rmt_fail(error, RMT_E_FENCED,
                        "attempt %u of this task, which is newer, has a stream",
                        old->attempt);
    if (old)
        rmt_serve_end_stream(self, old, "a newer attempt of the task has begun");
    rmt_serve_end_stream(self, caller, "the source has opened another stream");
    if (self->stats.streams >= RMT_SERVE_STREAMS)
        return rmt_fail(error, RMT_E_UNAVAILABLE,
                        "this worker has %d streams open, its limit; try again later",
                        RMT_SERVE_STREAMS);
    if (rmt_space_check(self->root, self->place, self->space_needed, error) == -1)
        return -1;
    self->space_needed = 0;
    caller->stream = rmt_stream_new(self->root, error);
    if (!caller->stream)
        return -1;
    zpoller_add(self->poller, rmt_stream_socket(caller->stream));
    memcpy(caller->task, msg->task, RMT_UID_SIZE);
    caller->attempt = msg->attempt;
    caller->stream_window = rmt_serve_share(self);
    self->reserved += caller->stream_window;
    self->stats.streams++;
    return 0;
}

static void
s_on_open(rmt_serve_state_t *self, rmt_caller_t *caller, const rmt_msg_t *msg)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) opened = rmt_msg_new(RMT_MSG_OPENED);
    if (s_open(self, caller, msg, &error) == -1) {
        opened->code = error.code;
        rmt_msg_text(&opened->text, error.text);
    } else {
        char task[33];
        opened->window = caller->stream_window;
        rmt_serve_tell(self, "stream.opened", caller->user,
                       rmt_uid_text(caller->task, task));
    }
    s_send(self, caller, opened);
}

// ---- The stream

static void
s_on_chunks(rmt_serve_state_t *self, rmt_caller_t *caller, rmt_msg_t **msg_p)
{
    zframe_t *payload = (*msg_p)->payload;
    const size_t size = zframe_size(payload);
    rmt_error_t error = {0};
    size_t count = 0;
    if (rmt_chunk_frame_check(zframe_data(payload), size, &count, &error) == -1) {
        s_refuse(self, caller, error.code, error.text);
        return;
    }
    const uint64_t cost = rmt_credit_cost(size);
    if (caller->under_way && caller->under_way + cost > caller->stream_window) {
        s_refuse(self, caller, RMT_E_PROTOCOL,
                 "the source sent more chunks than the window allows");
        return;
    }
    caller->under_way += cost;
    caller->is_unsealed = true;
    self->stats.chunks_received += count;
    self->stats.bytes_received += size;
    rmt_stream_send(caller->stream, msg_p);
}

void
rmt_serve_offered(rmt_serve_state_t *self, rmt_caller_t *caller, rmt_msg_t **msg_p)
{
    const rmt_msg_kind_t kind = (*msg_p)->kind;
    if (kind == RMT_MSG_OPEN)
        s_on_open(self, caller, *msg_p);
    else if (!caller->stream)
        s_refuse(self, caller, RMT_E_NOT_FOUND, "this connection has no open stream");
    else if (!rmt_grants_may_offer(self->grants, caller->user, rmt_clock_ms()))
        s_refuse(self, caller, RMT_E_NOT_ALLOWED,
                 "the grant of this key to offer chunks has ended");
    else if (kind == RMT_MSG_CHUNKS)
        s_on_chunks(self, caller, msg_p);
    else if (caller->offers >= OFFERS_MAX)
        s_refuse(self, caller, RMT_E_PROTOCOL,
                 "the source sent too many offers before their answers");
    else {
        caller->offers++;
        rmt_stream_send(caller->stream, msg_p);
    }
}

static void
s_pass_on(rmt_serve_state_t *self, rmt_caller_t *caller, const rmt_msg_t *msg)
{
    if (msg->kind == RMT_MSG_ACK) {
        caller->under_way -= msg->window;
    } else if (msg->kind == RMT_MSG_WANT) {
        caller->offers--;
    } else if (msg->kind == RMT_MSG_SEALED) {
        char task[33];
        caller->offers--;
        caller->is_unsealed = false;
        rmt_serve_tell(self, "stream.sealed", caller->user,
                       rmt_uid_text(caller->task, task));
    } else if (msg->code == RMT_E_CORRUPT) {
        self->stats.damaged++;
        rmt_serve_tell(self, "chunk.damaged", caller->user, msg->text);
    }
    s_send(self, caller, msg);
}

void
rmt_serve_drain(rmt_serve_state_t *self, rmt_caller_t *caller)
{
    while (caller->stream) {
        rmt_auto(rmt_msg) msg = rmt_stream_recv(caller->stream);
        if (!msg)
            return;
        s_pass_on(self, caller, msg);
        if (msg->kind == RMT_MSG_REFUSED && msg->code == RMT_E_NO_SPACE)
            self->space_needed = rmt_space_needed(self->root);
        if (msg->kind == RMT_MSG_REFUSED)
            rmt_serve_end_stream(self, caller, msg->text);
    }
}
