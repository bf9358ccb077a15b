#include "exchange/rmt_fetch_state.h"
#include <assert.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "exchange/rmt_credit.h"

#define ACK_MS 2          // A lot may be smaller when nothing came for so long
#define PATIENCE_MS 30000 // Without any progress while no holder answers
#define GRANT_MS 3000     // For the broker's word to reach a holder

rmt_fetch_t *
rmt_fetch_new(const rmt_records_t *holders, const char *host, const rmt_key_t *own,
              const rmt_id_t *root, rmt_error_t *error)
{
    rmt_link_t *link = rmt_link_new(holders, host, own, error);
    if (!link)
        return NULL;
    rmt_fetch_t *self = calloc(1, sizeof(*self));
    assert(self);
    self->link = link;
    self->own = own;
    self->root = *root;
    self->plain = malloc(RMT_CHUNK_PLAIN_MAX);
    assert(self->plain);
    return self;
}

int
rmt_fetch_renew(rmt_fetch_t *self, const rmt_records_t *holders, const char *host,
                rmt_error_t *error)
{
    rmt_link_t *link = rmt_link_new(holders, host, self->own, error);
    if (!link)
        return -1;
    rmt_link_set_alive(link, self->alive, self->alive_context);
    rmt_link_destroy(&self->link);
    self->link = link;
    self->is_connected = false;
    return 0;
}

void
rmt_fetch_destroy(rmt_fetch_t **self_p)
{
    assert(self_p);
    rmt_fetch_t *self = rmt_take(self_p);
    if (!self)
        return;
    rmt_link_destroy(&self->link);
    free(self->ahead.ids);
    free(self->plain);
    free(self);
}

void
rmt_fetch_set_alive(rmt_fetch_t *self, rmt_link_alive_fn *alive, void *context)
{
    self->alive = alive;
    self->alive_context = context;
    rmt_link_set_alive(self->link, alive, context);
}

void
rmt_fetch_stats(const rmt_fetch_t *self, rmt_fetch_stats_t *stats_out)
{
    *stats_out = self->stats;
}

// ---- One call: which ids are where

typedef enum {
    WAITS,
    ASKED,
    DOUBTED, // Asked for again: what came does not match the id
    FAILED,  // At this holder
    DONE
} s_mark_t;

typedef struct {
    const rmt_id_t *ids;
    size_t count;
    size_t *order;      // Indexes, sorted by id
    uint8_t *marks;     // s_mark_t for each index
    size_t next;        // Where to look for the next that waits
    size_t asked, left; // How many are under way; not yet given
    int64_t pause_ms;   // Ask nothing until then
    rmt_fetch_plain_fn *sink;
    void *context;
    rmt_error_t why; // The last failure
} s_call_t;

static int
s_compare(const void *a, const void *b, void *context)
{
    const rmt_id_t *ids = context;
    return memcmp(&ids[*(const size_t *) a], &ids[*(const size_t *) b], RMT_ID_SIZE);
}

static void
s_begin(s_call_t *call)
{
    call->order = malloc((call->count + 1) * sizeof(*call->order));
    call->marks = calloc(call->count + 1, 1);
    assert(call->order);
    assert(call->marks);
    for (size_t i = 0; i < call->count; i++)
        call->order[i] = i;
    qsort_r(call->order, call->count, sizeof(*call->order), s_compare,
            (void *) (uintptr_t) call->ids);
    call->left = call->count;
    for (size_t i = 1; i < call->count; i++)
        if (rmt_id_equal(&call->ids[call->order[i - 1]], &call->ids[call->order[i]])) {
            // The first one in the sorted order stands for all of them.
            call->marks[call->order[i]] = DONE;
            call->left--;
        }
}

static void
s_end(s_call_t *call)
{
    free(call->order);
    free(call->marks);
}

// Index of the id that stands for all its repeats, or count.
static size_t
s_find(const s_call_t *call, const void *id)
{
    size_t low = 0, high = call->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (memcmp(&call->ids[call->order[middle]], id, RMT_ID_SIZE) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < call->count && memcmp(&call->ids[call->order[low]], id, RMT_ID_SIZE) == 0)
        return call->order[low];
    return call->count;
}

// What another holder may have is to be asked for again.
static void
s_restart(s_call_t *call)
{
    for (size_t i = 0; i < call->count; i++)
        if (call->marks[i] != DONE)
            call->marks[i] = WAITS;
    call->next = 0;
    call->asked = 0;
    call->pause_ms = 0;
}

// ---- Asking

rmt_msg_t *
rmt_fetch_question(const rmt_fetch_t *self)
{
    rmt_msg_t *msg = rmt_msg_new(RMT_MSG_FETCH);
    msg->ids = zchunk_new(NULL, RMT_FETCH_ASK_COUNT * RMT_ID_SIZE);
    memcpy(msg->id, self->root.bytes, RMT_ID_SIZE);
    msg->window = RMT_SERVE_WINDOW;
    if (self->brief_ms)
        msg->done = rmt_ring_position(self->ring);
    return msg;
}

static int
s_ask(rmt_fetch_t *self, s_call_t *call, rmt_error_t *error)
{
    while (call->asked + RMT_FETCH_ASK_COUNT <= RMT_FETCH_ASKED_MAX &&
           rmt_clock_ms() >= call->pause_ms) {
        rmt_auto(rmt_msg) msg = rmt_fetch_question(self);
        size_t count = 0;
        for (; call->next < call->count && count < RMT_FETCH_ASK_COUNT; call->next++) {
            if (call->marks[call->next] != WAITS)
                continue;
            call->marks[call->next] = ASKED;
            zchunk_append(msg->ids, &call->ids[call->next], RMT_ID_SIZE);
            count++;
        }
        if (count == 0)
            return 0;
        call->asked += count;
        if (rmt_link_send(self->link, msg, RMT_FETCH_CONNECT_MS, error) == -1)
            return -1;
    }
    return 0;
}

int
rmt_fetch_go_on(rmt_fetch_t *self, rmt_error_t *error)
{
    if (rmt_link_go_on(self->link, error) == -1)
        return -1;
    if (rmt_clock_ms() - self->useful_ms < RMT_FETCH_USELESS_MS)
        return 0;
    return rmt_fail(error, RMT_E_UNAVAILABLE,
                    "%s talks, but has answered nothing for %d s",
                    rmt_link_name(self->link), RMT_FETCH_USELESS_MS / 1000);
}

int
rmt_fetch_ack(rmt_fetch_t *self, rmt_error_t *error)
{
    if (self->taken == 0)
        return 0;
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_ACK);
    msg->window = self->taken;
    self->taken = 0;
    return rmt_link_send(self->link, msg, rmt_fetch_limit(self, RMT_FETCH_SILENCE_MS),
                         error);
}

// ---- Answers

static bool
s_is_under_way(const s_call_t *call, size_t index)
{
    return index < call->count &&
           (call->marks[index] == ASKED || call->marks[index] == DOUBTED);
}

// The holder reads it again, and holds each copy against the id. The second time that it
// comes wrong, this holder has failed.
static void
s_complain(rmt_fetch_t *self, s_call_t *call, size_t index)
{
    rmt_auto(rmt_msg) msg = rmt_fetch_question(self);
    zchunk_append(msg->ids, &call->ids[index], RMT_ID_SIZE);
    msg->code = RMT_E_CORRUPT;
    rmt_error_t ignored = {0};
    if (call->marks[index] == ASKED &&
        rmt_link_send(self->link, msg, RMT_FETCH_SILENCE_MS, &ignored) == 0) {
        call->marks[index] = DOUBTED;
        return;
    }
    call->marks[index] = FAILED;
    call->asked--;
}

int
rmt_fetch_open(const rmt_msg_t *msg, rmt_chunk_t *chunk_out, void *plain_out,
               rmt_error_t *error)
{
    *chunk_out = (rmt_chunk_t){.codec = (uint8_t) msg->codec,
                               .plain_size = msg->size,
                               .size = (uint32_t) zframe_size(msg->payload),
                               .data = zframe_data(msg->payload)};
    memcpy(chunk_out->id.bytes, msg->id, RMT_ID_SIZE);
    if (msg->codec > UINT8_MAX || msg->size == 0 || msg->size > RMT_CHUNK_PLAIN_MAX)
        return rmt_fail(error, RMT_E_CORRUPT, "%u bytes with codec %u", msg->size,
                        msg->codec);
    return rmt_chunk_open(chunk_out, plain_out, error);
}

// 0: go on; 1: the sink refused.
static int
s_on_chunk(rmt_fetch_t *self, s_call_t *call, const rmt_msg_t *msg, rmt_error_t *error)
{
    rmt_chunk_t chunk;
    self->taken += rmt_credit_cost(zframe_size(msg->payload));
    const size_t index = s_find(call, msg->id);
    if (!s_is_under_way(call, index))
        return 0;
    self->useful_ms = rmt_clock_ms();
    if (rmt_fetch_open(msg, &chunk, self->plain, &call->why) == -1) {
        char text[RMT_ID_TEXT_SIZE];
        rmt_fail(&call->why, RMT_E_CORRUPT,
                 "%s sent bytes that do not match the id of chunk %s",
                 rmt_link_name(self->link), rmt_id_text(&chunk.id, text));
        self->stats.refused++;
        s_complain(self, call, index);
        return 0;
    }
    call->asked--;
    self->stats.chunks++;
    self->stats.bytes += chunk.size;
    if (self->ring)
        rmt_ring_put(self->ring, &chunk);
    call->marks[index] = DONE;
    call->left--;
    return call->sink(call->context, &chunk, self->plain, error) == -1 ? 1 : 0;
}

static void
s_unask(s_call_t *call, const rmt_msg_t *msg, s_mark_t mark)
{
    const size_t count = msg->ids ? zchunk_size(msg->ids) / RMT_ID_SIZE : 0;
    for (size_t i = 0; i < count; i++) {
        const size_t index = s_find(call, zchunk_data(msg->ids) + i * RMT_ID_SIZE);
        if (!s_is_under_way(call, index))
            continue;
        call->marks[index] = (uint8_t) mark;
        call->asked--;
        if (mark == WAITS && index < call->next)
            call->next = index;
    }
}

// What a holder says of its disk says nothing of a disk of this computer, for which its
// machine would be held.
static rmt_code_t
s_code(const rmt_msg_t *msg)
{
    const rmt_code_t code = rmt_code_from(msg->code);
    return code == RMT_E_DISK ? RMT_E_IO : code;
}

static int
s_on_message(rmt_fetch_t *self, s_call_t *call, const rmt_msg_t *msg, rmt_error_t *error)
{
    self->has_heard = true;
    if (msg->kind == RMT_MSG_CHUNK)
        return s_on_chunk(self, call, msg, error);
    if (msg->kind == RMT_MSG_ABSENT) {
        const size_t before = call->asked;
        s_unask(call, msg, FAILED);
        if (call->asked < before)
            self->useful_ms = rmt_clock_ms();
        rmt_fail(&call->why, s_code(msg), "%s: %s", rmt_link_name(self->link),
                 msg->text ? msg->text : "the store lacks the chunk");
    } else if (msg->kind == RMT_MSG_LATER) {
        s_unask(call, msg, WAITS);
        call->pause_ms = rmt_clock_ms() + (msg->beat_ms < 5000 ? msg->beat_ms : 5000);
    } else if (msg->kind == RMT_MSG_REFUSED) {
        rmt_fail(&call->why, s_code(msg), "%s: %s", rmt_link_name(self->link),
                 msg->text ? msg->text : "refused");
        return -1;
    }
    return 0;
}

// ---- Waiting

// How long to wait for the next message: 0 not at all.
static uint32_t
s_wait_ms(const rmt_fetch_t *self, const s_call_t *call)
{
    const int64_t pause = call->pause_ms - rmt_clock_ms();
    if (call->asked == 0 && pause > 0)
        return (uint32_t) pause;
    return self->has_heard ? RMT_FETCH_SILENCE_MS : RMT_FETCH_CONNECT_MS;
}

// Ask this holder for all that waits. 0: nothing is left that it may have; 1: the sink's
// or the caller's end (error is set); -1: this holder is of no use (call->why is set).
static int
s_use_holder(rmt_fetch_t *self, s_call_t *call, rmt_error_t *error)
{
    self->useful_ms = rmt_clock_ms();
    while (true) {
        if (s_ask(self, call, &call->why) == -1 ||
            rmt_fetch_go_on(self, &call->why) == -1)
            return call->why.code == RMT_E_CANCELLED ? 1 : -1;
        if (call->asked == 0 && rmt_clock_ms() >= call->pause_ms)
            return 0;
        rmt_error_t silence = {0};
        rmt_auto(rmt_msg) msg = NULL;
        if (self->taken < RMT_FETCH_ACK_LOT)
            msg = rmt_link_recv(self->link, self->taken ? ACK_MS : 0, &silence);
        if (!msg && rmt_fetch_ack(self, &call->why) == -1)
            return call->why.code == RMT_E_CANCELLED ? 1 : -1;
        if (!msg)
            msg = rmt_link_recv(self->link, s_wait_ms(self, call), &silence);
        if (!msg && silence.code == RMT_E_CANCELLED) {
            call->why = silence;
            return 1;
        }
        if (!msg && call->asked > 0) {
            call->why = silence;
            if (silence.code == RMT_E_TIMEOUT)
                call->why.code = RMT_E_UNAVAILABLE;
            return -1;
        }
        const int rc = msg ? s_on_message(self, call, msg, error) : 0;
        if (rc == 1)
            call->why = *error;
        if (rc != 0)
            return rc;
    }
}

static int64_t
s_patience_ms(rmt_code_t code)
{
    if (code == RMT_E_UNAVAILABLE)
        return PATIENCE_MS;
    return code == RMT_E_NOT_ALLOWED ? GRANT_MS : 0;
}

// True when it makes sense to go on after `tries` holders gave nothing since then.
static bool
s_may_retry(const rmt_fetch_t *self, const s_call_t *call, size_t tries, int64_t since_ms)
{
    return tries < rmt_link_count(self->link) ||
           rmt_clock_ms() - since_ms < s_patience_ms(call->why.code);
}

int
rmt_fetch_connect(rmt_fetch_t *self, rmt_error_t *error)
{
    if (rmt_link_next(self->link, error) == -1)
        return -1;
    self->is_connected = true;
    self->has_heard = false;
    self->taken = 0;
    return 0;
}

static int
s_get(rmt_fetch_t *self, s_call_t *call, rmt_error_t *error)
{
    size_t tries = 0;
    int64_t since_ms = rmt_clock_ms();
    while (call->left > 0) {
        if (!self->is_connected && rmt_fetch_connect(self, error) == -1)
            return -1;
        const size_t before = call->left;
        const int rc = s_use_holder(self, call, error);
        if (rc == 0 && call->left == 0)
            break;
        self->is_connected = false;
        if (rc == 1) {
            *error = call->why;
            return -1;
        }
        self->stats.moves++;
        tries = call->left < before ? 1 : tries + 1;
        since_ms = call->left < before ? rmt_clock_ms() : since_ms;
        if (!s_may_retry(self, call, tries, since_ms)) {
            *error = call->why;
            return -1;
        }
        if (tries >= rmt_link_count(self->link))
            zclock_sleep(200);
        s_restart(call);
    }
    return rmt_fetch_ack(self, error);
}

int
rmt_fetch_get_plain(rmt_fetch_t *self, const rmt_id_t *ids, size_t count,
                    rmt_fetch_plain_fn *sink, void *context, rmt_error_t *error)
{
    s_call_t call = {.ids = ids, .count = count, .sink = sink, .context = context};
    rmt_fetch_leave_ahead(self);
    s_begin(&call);
    const int rc = s_get(self, &call, error);
    s_end(&call);
    return rc;
}

typedef struct {
    rmt_chunk_sink_fn *sink;
    void *context;
} s_stored_t;

static int
s_give_stored(void *context, const rmt_chunk_t *chunk, const void *plain,
              rmt_error_t *error)
{
    const s_stored_t *stored = context;
    (void) plain;
    return stored->sink(stored->context, chunk, error);
}

int
rmt_fetch_get(rmt_fetch_t *self, const rmt_id_t *ids, size_t count,
              rmt_chunk_sink_fn *sink, void *context, rmt_error_t *error)
{
    s_stored_t stored = {sink, context};
    return rmt_fetch_get_plain(self, ids, count, s_give_stored, &stored, error);
}
