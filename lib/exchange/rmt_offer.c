#include "exchange/rmt_offer.h"
#include <assert.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "exchange/rmt_credit.h"
#include "exchange/rmt_chunk_frame.h"

#define BATCH_COUNT 1024u
#define BATCH_SIZE ((size_t) 512 * 1024)
#define BATCH_ROOM (BATCH_SIZE + RMT_CHUNK_PLAIN_MAX / 8)
#define SPARES_MAX 8   // Buffers kept for the next batches
#define BATCHES_MAX 32 // OFFERs that wait for an answer
#define OPEN_MS 10000
#define GRANT_MS 3000      // For the broker's word to reach a holder
#define SILENCE_MS 30000   // A receiver that lives beats every second
#define RECENT_SETS 16384u // What was offered lately, by hash
#define RECENT_WAYS 4u

typedef struct {
    rmt_id_t id;
    uint32_t at, size; // Head and stored bytes in the batch's data; 0: not at hand
} s_item_t;

// One OFFER and what becomes of it.
typedef struct s_batch {
    struct s_batch *next;
    uint64_t serial;
    s_item_t items[BATCH_COUNT];
    size_t count;
    uint8_t *data; // As they travel: head, stored bytes, head ...; NULL for none
    size_t size, room;
    bool is_answered;
    uint8_t wanted[BATCH_COUNT / 8];
    size_t sent;         // Items that were dealt with
    bool *lacks;         // Only a question: the answer goes here
    rmt_msg_kind_t kind; // OFFER or WHOLE
} s_batch_t;

struct rmt_offer {
    rmt_link_t *link;
    rmt_offer_stats_t stats;
    uint64_t window, unacked;
    uint64_t serial;
    s_batch_t *open;         // Being filled, may be NULL
    s_batch_t *first, *last; // Offered, oldest first
    size_t batches, unanswered;
    size_t buffered; // Bytes in all batches
    uint64_t sealed; // Serial of the last SEALED
    int64_t heard_ms;
    rmt_id_t *recent;            // RECENT_SETS sets, newest first
    uint8_t *spares[SPARES_MAX]; // BATCH_ROOM each
    size_t spare_count;
    rmt_id_t *missing; // RMT_OFFER_MISSING_MAX
    size_t missing_count;
    rmt_error_t broken; // Why the stream is over
};

// Memory that is given back to the kernel and got again for each batch costs more than
// the copying into it.
static void
s_batch_free(rmt_offer_t *self, s_batch_t *batch)
{
    if (!batch)
        return;
    if (batch->room == BATCH_ROOM && self->spare_count < SPARES_MAX)
        self->spares[self->spare_count++] = batch->data;
    else
        free(batch->data);
    free(batch);
}

// Space for so many bytes more.
static uint8_t *
s_batch_reserve(rmt_offer_t *self, s_batch_t *batch, size_t more)
{
    if (!batch->data && self->spare_count) {
        batch->data = self->spares[--self->spare_count];
        batch->room = BATCH_ROOM;
    }
    if (batch->size + more > batch->room) {
        const size_t wanted = batch->size + more;
        batch->room = wanted < BATCH_ROOM ? BATCH_ROOM : wanted;
        batch->data = realloc(batch->data, batch->room);
        assert(batch->data);
    }
    return batch->data + batch->size;
}

void
rmt_offer_destroy(rmt_offer_t **self_p)
{
    assert(self_p);
    rmt_offer_t *self = rmt_take(self_p);
    if (!self)
        return;
    s_batch_free(self, self->open);
    while (self->first) {
        s_batch_t *batch = self->first;
        self->first = batch->next;
        s_batch_free(self, batch);
    }
    while (self->spare_count)
        free(self->spares[--self->spare_count]);
    rmt_link_destroy(&self->link);
    free(self->recent);
    free(self->missing);
    free(self);
}

// ---- Opening

static int
s_open(rmt_offer_t *self, const rmt_offer_config_t *config, rmt_error_t *error)
{
    if (rmt_link_next(self->link, error) == -1)
        return -1;
    rmt_auto(rmt_msg) open = rmt_msg_new(RMT_MSG_OPEN);
    memcpy(open->task, config->task, RMT_UID_SIZE);
    memcpy(open->job, config->job, RMT_UID_SIZE);
    open->attempt = config->attempt;
    if (rmt_link_send(self->link, open, OPEN_MS, error) == -1)
        return -1;
    const int64_t deadline = rmt_clock_ms() + OPEN_MS;
    while (true) {
        const int64_t left = deadline - rmt_clock_ms();
        rmt_auto(rmt_msg) msg =
            rmt_link_recv(self->link, left > 0 ? (uint32_t) left : 0, error);
        if (!msg)
            return error->code == RMT_E_TIMEOUT
                       ? rmt_fail(error, RMT_E_UNAVAILABLE,
                                  "%s did not open a stream in time",
                                  rmt_link_name(self->link))
                       : -1;
        if (msg->kind != RMT_MSG_OPENED && msg->kind != RMT_MSG_REFUSED)
            continue;
        if (msg->kind == RMT_MSG_REFUSED || msg->code != RMT_E_OK)
            return rmt_fail(error, rmt_code_from(msg->code), "%s: %s",
                            rmt_link_name(self->link), msg->text ? msg->text : "");
        self->window = msg->window;
        self->heard_ms = rmt_clock_ms();
        return 0;
    }
}

rmt_offer_t *
rmt_offer_new(const rmt_offer_config_t *config, rmt_error_t *error)
{
    rmt_auto(rmt_offer) self = calloc(1, sizeof(*self));
    assert(self);
    self->link = rmt_link_new(config->holders, config->host, config->own, error);
    if (!self->link)
        return NULL;
    rmt_link_set_alive(self->link, config->alive, config->context);
    self->recent = calloc((size_t) RECENT_SETS * RECENT_WAYS, sizeof(*self->recent));
    assert(self->recent);
    self->missing = calloc(RMT_OFFER_MISSING_MAX, sizeof(*self->missing));
    assert(self->missing);
    const int64_t start_ms = rmt_clock_ms();
    for (size_t tries = 1; s_open(self, config, error) == -1; tries++) {
        if (error->code == RMT_E_CANCELLED || error->code == RMT_E_FENCED)
            return NULL;
        // The broker's word about this key may reach a holder after us.
        const bool is_early =
            error->code == RMT_E_NOT_ALLOWED && rmt_clock_ms() - start_ms < GRANT_MS;
        if (tries >= rmt_link_count(self->link) && !is_early)
            return NULL;
        if (is_early)
            zclock_sleep(100);
    }
    return rmt_take(&self);
}

// ---- What the receiver says

static int
s_break(rmt_offer_t *self, rmt_code_t code, const char *text, rmt_error_t *error)
{
    rmt_fail(&self->broken, code, "%s: %s", rmt_link_name(self->link), text ? text : "");
    *error = self->broken;
    return -1;
}

// The connection is of no more use, and says so itself.
static int
s_lose(rmt_offer_t *self, const rmt_error_t *error)
{
    self->broken = *error;
    return -1;
}

bool
rmt_offer_is_cut(const rmt_offer_t *self)
{
    const rmt_code_t code = self->broken.code;
    return code == RMT_E_UNAVAILABLE || code == RMT_E_NOT_FOUND ||
           code == RMT_E_NOT_ALLOWED || code == RMT_E_NO_SPACE;
}

static void
s_on_want(rmt_offer_t *self, const rmt_msg_t *msg)
{
    s_batch_t *batch = self->first;
    while (batch && batch->serial != msg->serial)
        batch = batch->next;
    const size_t size = msg->bitmap ? zchunk_size(msg->bitmap) : 0;
    if (!batch || batch->is_answered || size * 8 < batch->count)
        return;
    batch->is_answered = true;
    self->unanswered--;
    memcpy(batch->wanted, zchunk_data(msg->bitmap), (batch->count + 7) / 8);
}

static int
s_on_message(rmt_offer_t *self, const rmt_msg_t *msg, rmt_error_t *error)
{
    self->heard_ms = rmt_clock_ms();
    const bool is_end = msg->kind == RMT_MSG_REFUSED ||
                        (msg->kind == RMT_MSG_SEALED && msg->code != RMT_E_OK);
    if (is_end)
        return s_break(self, rmt_code_from(msg->code), msg->text, error);
    if (msg->kind == RMT_MSG_WANT)
        s_on_want(self, msg);
    else if (msg->kind == RMT_MSG_ACK)
        self->unacked -= msg->window < self->unacked ? msg->window : self->unacked;
    else if (msg->kind == RMT_MSG_SEALED)
        self->sealed = msg->serial;
    return 0;
}

// ---- Sending what is wanted

static bool
s_is_wanted(const s_batch_t *batch, size_t index)
{
    return batch->wanted[index / 8] & (1u << (index % 8));
}

// The items that travel in the next frame, from batch->sent on. Returns one past the
// last.
static size_t
s_parcel_end(const s_batch_t *batch)
{
    size_t end = batch->sent, size = 0;
    while (end < batch->count && s_is_wanted(batch, end) && batch->items[end].size &&
           (size == 0 || size + batch->items[end].size <= RMT_CHUNK_FRAME_SIZE))
        size += batch->items[end++].size;
    return end;
}

// Send wanted items of one batch that lie side by side. 1, 0 when the window is full, -1.
static int
s_send_parcel(rmt_offer_t *self, s_batch_t *batch, rmt_error_t *error)
{
    const size_t end = s_parcel_end(batch), count = end - batch->sent;
    const s_item_t *first = &batch->items[batch->sent], *last = &batch->items[end - 1];
    const size_t size = last->at + last->size - first->at;
    const uint64_t cost = rmt_credit_cost(size);
    if (self->unacked && self->unacked + cost > self->window)
        return 0;
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_CHUNKS);
    msg->serial = batch->serial;
    msg->payload = zframe_new(batch->data + first->at, size);
    if (rmt_link_send(self->link, msg, SILENCE_MS, error) == -1)
        return s_lose(self, error);
    self->unacked += cost;
    self->stats.chunks_sent += count;
    self->stats.bytes_sent += size - count * RMT_CHUNK_FRAME_HEAD_SIZE;
    batch->sent = end;
    return 1;
}

static void
s_note_missing(rmt_offer_t *self, const rmt_id_t *id)
{
    if (self->missing_count < RMT_OFFER_MISSING_MAX)
        self->missing[self->missing_count] = *id;
    self->missing_count++;
}

static void
s_remove_first(rmt_offer_t *self)
{
    s_batch_t *batch = self->first;
    self->first = batch->next;
    if (!self->first)
        self->last = NULL;
    self->batches--;
    self->buffered -= batch->size;
    s_batch_free(self, batch);
}

// Send from the oldest batch on, as far as answers and window go.
static int
s_send_wanted(rmt_offer_t *self, rmt_error_t *error)
{
    while (self->first && self->first->is_answered) {
        s_batch_t *batch = self->first;
        while (batch->sent < batch->count) {
            const s_item_t *item = &batch->items[batch->sent];
            const bool is_wanted = s_is_wanted(batch, batch->sent);
            if (is_wanted && item->size) {
                const int sent = s_send_parcel(self, batch, error);
                if (sent != 1)
                    return sent;
                continue;
            }
            if (batch->lacks)
                batch->lacks[batch->sent] = is_wanted;
            else if (is_wanted)
                s_note_missing(self, &item->id);
            batch->sent++;
        }
        s_remove_first(self);
    }
    return 0;
}

// Do what can be done; wait for one message when `wait` and nothing is here.
static int
s_pump(rmt_offer_t *self, bool wait, rmt_error_t *error)
{
    if (self->broken.code != RMT_E_OK) {
        *error = self->broken;
        return -1;
    }
    uint32_t timeout_ms = wait ? SILENCE_MS : 0;
    while (true) {
        rmt_auto(rmt_msg) msg = rmt_link_recv(self->link, timeout_ms, error);
        if (!msg && error->code != RMT_E_TIMEOUT)
            return s_lose(self, error);
        if (!msg && timeout_ms)
            return s_break(self, RMT_E_UNAVAILABLE,
                           "the receiver sent nothing within the time", error);
        if (!msg)
            break;
        timeout_ms = 0;
        if (s_on_message(self, msg, error) == -1)
            return -1;
    }
    return s_send_wanted(self, error);
}

// ---- Offering

static int
s_offer_batch(rmt_offer_t *self, s_batch_t *batch, rmt_error_t *error)
{
    batch->serial = ++self->serial;
    if (self->last)
        self->last->next = batch;
    else
        self->first = batch;
    self->last = batch;
    self->batches++;
    self->unanswered++;
    rmt_auto(rmt_msg) msg = rmt_msg_new(batch->kind);
    msg->serial = batch->serial;
    msg->ids = zchunk_new(NULL, batch->count * RMT_ID_SIZE);
    for (size_t i = 0; i < batch->count; i++)
        zchunk_append(msg->ids, &batch->items[i].id, RMT_ID_SIZE);
    if (rmt_link_send(self->link, msg, SILENCE_MS, error) == -1)
        return s_lose(self, error);
    return 0;
}

static int
s_flush(rmt_offer_t *self, rmt_error_t *error)
{
    if (self->open && s_offer_batch(self, rmt_take(&self->open), error) == -1)
        return -1;
    if (s_pump(self, false, error) == -1)
        return -1;
    while (self->buffered > RMT_OFFER_BUFFER_SIZE || self->unanswered >= BATCHES_MAX)
        if (s_pump(self, true, error) == -1)
            return -1;
    return 0;
}

static s_batch_t *
s_batch_new(rmt_msg_kind_t kind)
{
    s_batch_t *batch = calloc(1, sizeof(*batch));
    assert(batch);
    batch->kind = kind;
    return batch;
}

// True when this stream has offered the id lately; else remembers it.
static bool
s_is_repeat(rmt_offer_t *self, const rmt_id_t *id)
{
    uint32_t hash;
    memcpy(&hash, id->bytes + 1, sizeof(hash));
    rmt_id_t *set = &self->recent[(size_t) (hash % RECENT_SETS) * RECENT_WAYS];
    for (size_t i = 0; i < RECENT_WAYS; i++)
        if (rmt_id_equal(&set[i], id))
            return true;
    memmove(&set[1], &set[0], (RECENT_WAYS - 1) * sizeof(*set));
    set[0] = *id;
    return false;
}

int
rmt_offer_chunk(rmt_offer_t *self, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    self->stats.chunks_offered++;
    self->stats.bytes_offered += chunk->size;
    if (s_is_repeat(self, &chunk->id))
        return 0;
    if (!self->open)
        self->open = s_batch_new(RMT_MSG_OFFER);
    s_batch_t *batch = self->open;
    const size_t size = RMT_CHUNK_FRAME_HEAD_SIZE + chunk->size;
    uint8_t *data = s_batch_reserve(self, batch, size);
    rmt_chunk_frame_put_head(data, chunk);
    memcpy(data + RMT_CHUNK_FRAME_HEAD_SIZE, chunk->data, chunk->size);
    batch->items[batch->count++] = (s_item_t){
        .id = chunk->id, .at = (uint32_t) batch->size, .size = (uint32_t) size};
    batch->size += size;
    self->buffered += size;
    if (batch->count < BATCH_COUNT && batch->size < BATCH_SIZE)
        return 0;
    return s_flush(self, error);
}

int
rmt_offer_id(rmt_offer_t *self, const rmt_id_t *id, rmt_error_t *error)
{
    self->stats.chunks_offered++;
    if (s_is_repeat(self, id))
        return 0;
    if (!self->open)
        self->open = s_batch_new(RMT_MSG_OFFER);
    self->open->items[self->open->count++].id = *id;
    return self->open->count < BATCH_COUNT ? 0 : s_flush(self, error);
}

int
rmt_offer_drain(rmt_offer_t *self, rmt_error_t *error)
{
    if (s_flush(self, error) == -1)
        return -1;
    while (self->batches)
        if (s_pump(self, true, error) == -1)
            return -1;
    return 0;
}

const rmt_id_t *
rmt_offer_missing(const rmt_offer_t *self, size_t *count_out)
{
    *count_out = self->missing_count;
    return self->missing;
}

void
rmt_offer_forget(rmt_offer_t *self)
{
    self->missing_count = 0;
    memset(self->recent, 0, (size_t) RECENT_SETS * RECENT_WAYS * sizeof(*self->recent));
}

int
rmt_offer_holds(rmt_offer_t *self, const rmt_id_t *root, bool *holds_out,
                rmt_error_t *error)
{
    bool lacks = true;
    if (s_flush(self, error) == -1)
        return -1;
    s_batch_t *batch = s_batch_new(RMT_MSG_WHOLE);
    batch->lacks = &lacks;
    batch->items[batch->count++].id = *root;
    // Answers come in order, so an empty list holds no question.
    if (s_offer_batch(self, batch, error) == -1 || rmt_offer_drain(self, error) == -1)
        return -1;
    *holds_out = !lacks;
    return 0;
}

int
rmt_offer_seal(rmt_offer_t *self, rmt_error_t *error)
{
    if (rmt_offer_drain(self, error) == -1)
        return -1;
    rmt_auto(rmt_msg) seal = rmt_msg_new(RMT_MSG_SEAL);
    seal->serial = ++self->serial;
    if (rmt_link_send(self->link, seal, SILENCE_MS, error) == -1)
        return s_lose(self, error);
    while (self->sealed != seal->serial)
        if (s_pump(self, true, error) == -1)
            return -1;
    return 0;
}

void
rmt_offer_stats(const rmt_offer_t *self, rmt_offer_stats_t *stats_out)
{
    *stats_out = self->stats;
}
