// Chunks one after the other, in an order that is known before: the next ones are asked
// for while the caller works on this one, so that neither holder nor link waits.
//
// Messages stay in the queue of the socket until they are read, and are acknowledged
// then, so the window bounds the memory. Whatever does not go as it should (a chunk that
// is absent or wrong, a holder that is gone, an id that was not expected) ends the
// connection, and the one chunk is got by rmt_fetch_get, which knows what to do.
#include "exchange/rmt_fetch_state.h"
#include <assert.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_grow.h"
#include "exchange/rmt_credit.h"

#define TRIM_COUNT 4096

// ---- What is expected

void
rmt_fetch_leave_ahead(rmt_fetch_t *self)
{
    rmt_fetch_ahead_t *ahead = &self->ahead;
    if (ahead->asked != ahead->next)
        self->is_connected = false;
    ahead->next = ahead->asked = ahead->at;
    ahead->has_last = false;
}

void
rmt_fetch_expect(rmt_fetch_t *self, const rmt_id_t *ids, size_t count)
{
    rmt_fetch_leave_ahead(self);
    self->ahead.count = self->ahead.at = self->ahead.next = self->ahead.asked = 0;
    rmt_fetch_expect_more(self, ids, count);
}

void
rmt_fetch_expect_more(rmt_fetch_t *self, const rmt_id_t *ids, size_t count)
{
    rmt_fetch_ahead_t *ahead = &self->ahead;
    rmt_grow(&ahead->ids, &ahead->room, ahead->count + count);
    if (count)
        memcpy(ahead->ids + ahead->count, ids, count * sizeof *ids);
    ahead->count += count;
}

// Forget what was read, except the last.
static void
s_trim(rmt_fetch_ahead_t *ahead)
{
    if (ahead->at < TRIM_COUNT || ahead->at < ahead->count / 2)
        return;
    const size_t gone = ahead->at - 1;
    ahead->count -= gone;
    memmove(ahead->ids, ahead->ids + gone, ahead->count * sizeof *ahead->ids);
    ahead->at -= gone;
    ahead->next -= gone;
    ahead->asked -= gone;
}

// One that is like the one before it is not asked for.
static bool
s_is_repeat(const rmt_fetch_ahead_t *ahead, size_t index)
{
    return index > 0 && index < ahead->count &&
           rmt_id_equal(&ahead->ids[index - 1], &ahead->ids[index]);
}

static void
s_pass_repeats(rmt_fetch_ahead_t *ahead)
{
    while (ahead->next < ahead->asked && s_is_repeat(ahead, ahead->next))
        ahead->next++;
}

// ---- Asking, and taking

static int
s_ask(rmt_fetch_t *self, rmt_error_t *error)
{
    rmt_fetch_ahead_t *ahead = &self->ahead;
    while (ahead->asked < ahead->count &&
           ahead->asked - ahead->next + RMT_FETCH_ASK_COUNT <= RMT_FETCH_ASKED_MAX) {
        // A question for each that is told later would be a question for each chunk.
        const size_t left = ahead->count - ahead->asked;
        if (left < RMT_FETCH_ASK_COUNT / 2 &&
            ahead->asked - ahead->next > RMT_FETCH_ASK_COUNT / 2)
            return 0;
        rmt_auto(rmt_msg) msg = rmt_fetch_question(self);
        size_t end = ahead->asked;
        for (; end < ahead->count && end - ahead->asked < RMT_FETCH_ASK_COUNT; end++)
            if (!s_is_repeat(ahead, end))
                zchunk_append(msg->ids, &ahead->ids[end], RMT_ID_SIZE);
        if (zchunk_size(msg->ids) > 0 &&
            rmt_link_send(self->link, msg, rmt_fetch_limit(self, RMT_FETCH_CONNECT_MS),
                          error) == -1)
            return -1;
        ahead->asked = end;
        s_pass_repeats(ahead);
    }
    return 0;
}

// The next message that is more than a sign of life. Caller owns the result.
static rmt_msg_t *
s_receive(rmt_fetch_t *self, rmt_error_t *error)
{
    while (rmt_fetch_go_on(self, error) == 0) {
        rmt_msg_t *msg = NULL;
        if (self->taken < RMT_FETCH_ACK_LOT)
            msg = rmt_link_recv(self->link, 0, error);
        if (!msg && rmt_fetch_ack(self, error) == -1)
            return NULL;
        if (!msg)
            msg = rmt_link_recv(self->link,
                                rmt_fetch_limit(self, self->has_heard
                                                          ? RMT_FETCH_SILENCE_MS
                                                          : RMT_FETCH_CONNECT_MS),
                                error);
        if (!msg)
            return NULL;
        self->has_heard = true;
        if (msg->kind != RMT_MSG_BEAT)
            return msg;
        rmt_msg_destroy(&msg);
    }
    return NULL;
}

// What came in place of what was wanted; what a relay says is known to those who ask it.
// -1: any but CANCELLED.
static int
s_wrong(rmt_fetch_t *self, const rmt_msg_t *msg, rmt_error_t *error)
{
    const rmt_code_t code = rmt_code_from(msg->code);
    if (msg->kind == RMT_MSG_ABSENT)
        self->position = msg->done;
    if (msg->kind == RMT_MSG_ABSENT &&
        (code == RMT_E_NOT_FOUND || code == RMT_E_BUSY || code == RMT_E_NOT_ALLOWED))
        return rmt_fail(error, code, "%s: %s", rmt_link_name(self->link),
                        msg->text ? msg->text : "the chunk is not there");
    return rmt_fail(error, RMT_E_PROTOCOL, "%s gave another answer than the next",
                    rmt_link_name(self->link));
}

// Take the answer at `next`; it is opened only when it is wanted. 0, or -1: any.
static int
s_take(rmt_fetch_t *self, bool is_wanted, void *plain_out, size_t *size_out,
       rmt_error_t *error)
{
    rmt_fetch_ahead_t *ahead = &self->ahead;
    rmt_auto(rmt_msg) msg = s_receive(self, error);
    if (!msg)
        return -1;
    if (msg->kind != RMT_MSG_CHUNK ||
        memcmp(msg->id, ahead->ids[ahead->next].bytes, RMT_ID_SIZE) != 0)
        return s_wrong(self, msg, error);
    self->useful_ms = rmt_clock_ms();
    self->position = msg->done;
    self->taken += rmt_credit_cost(zframe_size(msg->payload));
    rmt_chunk_t chunk;
    if (is_wanted && rmt_fetch_open(msg, &chunk, plain_out, error) == -1) {
        self->stats.refused++;
        return -1;
    }
    self->stats.chunks++;
    self->stats.bytes += zframe_size(msg->payload);
    if (is_wanted && self->ring)
        rmt_ring_put(self->ring, &chunk);
    *size_out = msg->size;
    ahead->next++;
    s_pass_repeats(ahead);
    return 0;
}

// The chunk at `at`, and no other answer is left before it. 0, or -1: any.
static int
s_read_expected(rmt_fetch_t *self, void *plain_out, size_t *size_out, rmt_error_t *error)
{
    rmt_fetch_ahead_t *ahead = &self->ahead;
    self->useful_ms = rmt_clock_ms();
    if (!self->is_connected) {
        if (rmt_fetch_connect(self, error) == -1)
            return -1;
        ahead->next = ahead->asked = ahead->at;
    }
    if (ahead->next == ahead->asked && ahead->asked < ahead->at)
        ahead->next = ahead->asked = ahead->at;
    while (true) {
        if (s_ask(self, error) == -1)
            return -1;
        if (ahead->next > ahead->at)
            return rmt_fail(error, RMT_E_NOT_FOUND,
                            "it has come before, and is not kept");
        const bool is_wanted = ahead->next == ahead->at;
        if (s_take(self, is_wanted, plain_out, size_out, error) == -1)
            return -1;
        if (is_wanted)
            break;
    }
    return ahead->next == ahead->count ? rmt_fetch_ack(self, error) : 0;
}

// ---- Reading

typedef struct {
    void *plain;
    size_t size;
} s_one_t;

static int
s_copy(void *context, const rmt_chunk_t *chunk, const void *plain, rmt_error_t *error)
{
    s_one_t *one = context;
    (void) error;
    one->size = chunk->plain_size;
    memcpy(one->plain, plain, one->size);
    return 0;
}

static int
s_read_alone(rmt_fetch_t *self, const rmt_id_t *id, void *plain_out, size_t *size_out,
             rmt_error_t *error)
{
    s_one_t one = {.plain = plain_out};
    if (rmt_fetch_get_plain(self, id, 1, s_copy, &one, error) == -1)
        return -1;
    *size_out = one.size;
    return 0;
}

// When the next one is the same, it is kept for it.
static void
s_advance(rmt_fetch_t *self, const void *plain, size_t size)
{
    rmt_fetch_ahead_t *ahead = &self->ahead;
    const rmt_id_t id = ahead->ids[ahead->at];
    ahead->at++;
    ahead->has_last = s_is_repeat(ahead, ahead->at);
    if (ahead->has_last) {
        ahead->last = id;
        ahead->last_size = size;
        if (plain != self->plain)
            memcpy(self->plain, plain, size);
    }
    s_trim(ahead);
}

int
rmt_fetch_read(void *fetch, const rmt_id_t *id, void *plain_out, size_t *size_out,
               rmt_error_t *error)
{
    rmt_fetch_t *self = fetch;
    rmt_fetch_ahead_t *ahead = &self->ahead;
    size_t at = ahead->at;
    while (at < ahead->count && !rmt_id_equal(&ahead->ids[at], id))
        at++;
    if (at == ahead->count)
        return s_read_alone(self, id, plain_out, size_out, error);
    if (at == ahead->at && ahead->has_last && rmt_id_equal(&ahead->last, id)) {
        *size_out = ahead->last_size;
        memcpy(plain_out, self->plain, ahead->last_size);
        s_advance(self, self->plain, ahead->last_size);
        return 0;
    }
    ahead->at = at;
    rmt_error_t why = {0};
    if (s_read_expected(self, plain_out, size_out, &why) == -1) {
        self->is_connected = false;
        self->stats.moves++;
        if (why.code == RMT_E_CANCELLED) {
            *error = why;
            return -1;
        }
        if (s_read_alone(self, id, plain_out, size_out, error) == -1)
            return -1;
        ahead->next = ahead->asked = ahead->at + 1;
        s_pass_repeats(ahead);
    }
    s_advance(self, plain_out, *size_out);
    return 0;
}

// ---- Relays

void
rmt_fetch_set_ring(rmt_fetch_t *self, rmt_ring_t *ring)
{
    self->ring = ring;
}

void
rmt_fetch_be_brief(rmt_fetch_t *self, uint32_t wait_ms)
{
    assert(self->ring);
    self->brief_ms = wait_ms;
}

uint32_t
rmt_fetch_limit(const rmt_fetch_t *self, uint32_t usual)
{
    if (self->brief_ms == 0)
        return usual;
    const int64_t left = self->useful_ms + self->brief_ms - rmt_clock_ms();
    return left > 0 ? (uint32_t) left : 0;
}

uint64_t
rmt_fetch_position(const rmt_fetch_t *self)
{
    return self->position;
}

int
rmt_fetch_start(rmt_fetch_t *self, rmt_error_t *error)
{
    self->useful_ms = rmt_clock_ms();
    if (!self->is_connected && rmt_fetch_connect(self, error) == -1)
        return -1;
    if (self->ahead.count > 0)
        return s_ask(self, error);
    rmt_auto(rmt_msg) msg = rmt_fetch_question(self);
    zchunk_destroy(&msg->ids);
    return rmt_link_send(self->link, msg, 0, error);
}

int
rmt_fetch_hears(rmt_fetch_t *self, rmt_error_t *error)
{
    while (true) {
        rmt_error_t why = {0};
        rmt_auto(rmt_msg) msg = rmt_link_recv(self->link, 0, &why);
        if (!msg && why.code == RMT_E_TIMEOUT)
            return 0;
        if (!msg) {
            *error = why;
            return -1;
        }
        self->has_heard = true;
        if (msg->kind == RMT_MSG_BEAT)
            continue;
        if (msg->kind != RMT_MSG_ABSENT || msg->code != RMT_E_OK)
            return s_wrong(self, msg, error);
        self->position = msg->done;
        return 1;
    }
}

int
rmt_fetch_read_brief(rmt_fetch_t *self, const rmt_id_t *id, void *plain_out,
                     size_t *size_out, rmt_error_t *error)
{
    rmt_fetch_ahead_t *ahead = &self->ahead;
    assert(self->brief_ms);
    assert(ahead->at < ahead->count && rmt_id_equal(&ahead->ids[ahead->at], id));
    if (ahead->has_last && rmt_id_equal(&ahead->last, id)) {
        *size_out = ahead->last_size;
        memcpy(plain_out, self->plain, ahead->last_size);
        s_advance(self, self->plain, ahead->last_size);
        return 0;
    }
    if (s_read_expected(self, plain_out, size_out, error) == -1)
        return error->code == RMT_E_TIMEOUT
                   ? rmt_fail(error, RMT_E_UNAVAILABLE, "%s is silent",
                              rmt_link_name(self->link))
                   : -1;
    s_advance(self, plain_out, *size_out);
    return 0;
}
