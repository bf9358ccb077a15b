// The giving side of rmt_serve: FETCH, ACK, and sending within credit.
#include <assert.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "exchange/rmt_credit.h"
#include "exchange/rmt_serve_state.h"
#include "machine/rmt_inventory.h"

#define WISHED_MAX 8192 // Ids that wait for one caller
#define LATER_MS 200
#define TURN_SIZE ((uint64_t) 1024 * 1024) // To one caller before the next has its turn

void
rmt_wish_destroy(rmt_wish_t **self_p)
{
    rmt_wish_t *self = rmt_take(self_p);
    if (!self)
        return;
    zchunk_destroy(&self->ids);
    free(self);
}

static void
s_say_absent(rmt_caller_t *caller, const void *ids, size_t count, const rmt_error_t *why)
{
    assert(!caller->held);
    caller->held = rmt_msg_new(RMT_MSG_ABSENT);
    caller->held->ids = zchunk_new(ids, count * RMT_ID_SIZE);
    caller->held->code = why->code;
    rmt_msg_text(&caller->held->text, why->text);
}

static const uint8_t *
s_id(const rmt_wish_t *wish, size_t index)
{
    return zchunk_data(wish->ids) + index * RMT_ID_SIZE;
}

void
rmt_serve_fetch(rmt_serve_state_t *self, rmt_caller_t *caller, rmt_msg_t *msg)
{
    const size_t count = msg->ids ? zchunk_size(msg->ids) / RMT_ID_SIZE : 0;
    if (msg->window)
        caller->window = msg->window;
    if (self->ring && !rmt_serve_ring_admits(self, caller, msg))
        return;
    if (count == 0)
        return;
    if (caller->wished + count > WISHED_MAX) {
        rmt_error_t ignored = {0};
        rmt_auto(rmt_msg) later = rmt_msg_new(RMT_MSG_LATER);
        later->beat_ms = LATER_MS;
        later->ids = rmt_take(&msg->ids);
        (void) rmt_serve_send(self, caller, later, &ignored);
        return;
    }
    rmt_wish_t *wish = calloc(1, sizeof(*wish));
    assert(wish);
    memcpy(wish->root.bytes, msg->id, RMT_ID_SIZE);
    wish->ids = rmt_take(&msg->ids);
    wish->count = count;
    wish->is_doubted = msg->code == RMT_E_CORRUPT;
    wish->done = msg->done;
    caller->wished += count;
    zlistx_add_end(caller->wishes, wish);
}

void
rmt_serve_ack(rmt_serve_state_t *self, rmt_caller_t *caller, uint64_t window)
{
    const uint64_t freed = window < caller->unacked ? window : caller->unacked;
    caller->unacked -= freed;
    self->unacked -= freed;
}

// ---- What to send next

static void
s_end_wish(rmt_caller_t *caller, rmt_wish_t *wish)
{
    caller->wished -= wish->count - wish->next;
    wish->next = wish->count;
}

void
rmt_serve_refuse_rest(rmt_serve_state_t *self, rmt_caller_t *caller, rmt_wish_t *wish,
                      rmt_error_t *why)
{
    const size_t count = wish->count - wish->next;
    if (self->store)
        (void) rmt_inventory_name_disk(self->root, why);
    if (why->code == RMT_E_NOT_ALLOWED) {
        self->stats.refused += count;
        rmt_serve_tell(self, "fetch.refused", caller->user, why->text);
    }
    s_say_absent(caller, s_id(wish, wish->next), count, why);
    s_end_wish(caller, wish);
}

// Take the ids out that are no part of the image, and say so.
static void
s_check_wish(rmt_serve_state_t *self, rmt_caller_t *caller, rmt_wish_t *wish,
             const rmt_closure_t *closure)
{
    wish->is_checked = true;
    rmt_auto(zchunk) outside = zchunk_new(NULL, wish->count * RMT_ID_SIZE);
    size_t kept = 0;
    for (size_t i = 0; i < wish->count; i++) {
        rmt_id_t id;
        memcpy(id.bytes, s_id(wish, i), RMT_ID_SIZE);
        if (rmt_closure_has(closure, &id))
            memcpy(zchunk_data(wish->ids) + kept++ * RMT_ID_SIZE, id.bytes, RMT_ID_SIZE);
        else
            zchunk_append(outside, id.bytes, RMT_ID_SIZE);
    }
    const size_t refused = wish->count - kept;
    if (refused == 0)
        return;
    caller->wished -= refused;
    wish->count = kept;
    rmt_error_t why = {0};
    rmt_fail(&why, RMT_E_NOT_ALLOWED,
             "%zu chunks do not belong to the image of the grant", refused);
    self->stats.refused += refused;
    rmt_serve_tell(self, "fetch.refused", caller->user, why.text);
    s_say_absent(caller, zchunk_data(outside), refused, &why);
}

// An engine may hold the descriptor as an image alone.
static int
s_read_descriptor(rmt_serve_state_t *self, const rmt_id_t *id, rmt_msg_t *msg,
                  rmt_error_t *error)
{
    rmt_auto_ptr data = NULL;
    size_t size;
    if (rmt_store_image_get(self->store, id, &data, &size, error) == -1)
        return -1;
    if (size == 0 || size > RMT_CHUNK_PLAIN_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG,
                        "the descriptor has %zu bytes, which is out of range", size);
    rmt_auto_ptr room = malloc(RMT_CHUNK_STORED_MAX);
    assert(room);
    rmt_chunk_t chunk;
    rmt_chunk_make(&chunk, data, size, room);
    msg->codec = chunk.codec;
    msg->size = chunk.plain_size;
    msg->payload = zframe_new(chunk.data, chunk.size);
    return 0;
}

// The receiver holds all that comes against its id, so here it is only held against its
// checksum, until a receiver says that the bytes of an id are wrong.
static int
s_read_chunk(rmt_serve_state_t *self, rmt_wish_t *wish, const rmt_id_t *id,
             rmt_msg_t *msg, rmt_error_t *error)
{
    rmt_chunk_t chunk;
    const bool verify = wish->is_doubted;
    int rc = rmt_store_get(self->store, id, verify, &chunk, error);
    if (rc == -1 && !wish->is_refreshed) {
        // Another worker may have committed it since, or stored it anew after scrub has
        // put the pack aside that is known here.
        wish->is_refreshed = true;
        if (rmt_store_refresh(self->store, error) == -1)
            return -1;
        rc = rmt_store_get(self->store, id, verify, &chunk, error);
    }
    if (rc == -1 && error->code == RMT_E_NOT_FOUND && rmt_id_equal(id, &wish->root))
        return s_read_descriptor(self, id, msg, error);
    if (rc == -1)
        return -1;
    msg->codec = chunk.codec;
    msg->size = chunk.plain_size;
    msg->payload = zframe_new(chunk.data, chunk.size);
    return 0;
}

static void
s_hold_chunk(rmt_serve_state_t *self, rmt_caller_t *caller, rmt_wish_t *wish)
{
    rmt_error_t error = {0};
    rmt_id_t id;
    memcpy(id.bytes, s_id(wish, wish->next), RMT_ID_SIZE);
    wish->next++;
    caller->wished--;
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_CHUNK);
    memcpy(msg->id, id.bytes, RMT_ID_SIZE);
    if (s_read_chunk(self, wish, &id, msg, &error) == 0) {
        caller->held = rmt_take(&msg);
        return;
    }
    if (error.code == RMT_E_CORRUPT) {
        self->stats.damaged++;
        rmt_serve_tell(self, "chunk.damaged", caller->user, error.text);
    }
    (void) rmt_inventory_name_disk(self->root, &error);
    s_say_absent(caller, id.bytes, 1, &error);
}

// Make the next answer. False: nothing to say now.
static bool
s_prepare(rmt_serve_state_t *self, rmt_caller_t *caller)
{
    while (!caller->held) {
        rmt_wish_t *wish = zlistx_first(caller->wishes);
        if (!wish)
            return false;
        if (wish->next == wish->count) {
            zlistx_delete(caller->wishes, zlistx_cursor(caller->wishes));
            continue;
        }
        rmt_error_t error = {0};
        if (!rmt_grants_may_fetch(self->grants, caller->user, &wish->root,
                                  rmt_clock_ms())) {
            rmt_fail(&error, RMT_E_NOT_ALLOWED, "this key has no grant for the image");
            rmt_serve_refuse_rest(self, caller, wish, &error);
            continue;
        }
        if (self->ring) {
            if (!rmt_serve_ring_hold(self, caller, wish))
                return false;
            continue;
        }
        if (wish->is_checked) {
            s_hold_chunk(self, caller, wish);
            continue;
        }
        const rmt_closure_t *closure = rmt_roots_find(self->roots, &wish->root, &error);
        if (closure)
            s_check_wish(self, caller, wish, closure);
        else if (error.code == RMT_E_UNAVAILABLE)
            return false;
        else
            rmt_serve_refuse_rest(self, caller, wish, &error);
    }
    return true;
}

// ---- Sending

// One chunk may always travel, however small the window is.
static bool
s_has_credit(const rmt_serve_state_t *self, const rmt_caller_t *caller, uint64_t cost)
{
    if (cost == 0 || caller->unacked == 0)
        return true;
    const uint64_t share = rmt_serve_share(self);
    const uint64_t window = caller->window < share ? caller->window : share;
    return caller->unacked + cost <= window &&
           self->unacked + self->reserved + cost <= RMT_SERVE_BUDGET;
}

static void
s_account(rmt_serve_state_t *self, rmt_caller_t *caller, uint64_t cost)
{
    if (cost == 0)
        return;
    caller->unacked += cost;
    self->unacked += cost;
    self->stats.chunks_sent++;
    self->stats.bytes_sent += cost - RMT_CREDIT_SURCHARGE;
    if (caller->unacked > self->stats.unacked_max)
        self->stats.unacked_max = caller->unacked;
}

static rmt_pump_t
s_pump_caller(rmt_serve_state_t *self, rmt_caller_t *caller)
{
    for (uint64_t spent = 0; spent < TURN_SIZE;) {
        if (!s_prepare(self, caller))
            return RMT_PUMP_IDLE;
        zframe_t *payload = caller->held->payload;
        const uint64_t cost = payload ? rmt_credit_cost(zframe_size(payload)) : 0;
        if (!s_has_credit(self, caller, cost))
            return RMT_PUMP_IDLE;
        rmt_error_t error = {0};
        if (rmt_serve_send(self, caller, caller->held, &error) == -1)
            return caller->is_gone ? RMT_PUMP_IDLE : RMT_PUMP_FULL;
        rmt_msg_destroy(&caller->held);
        s_account(self, caller, cost);
        spent += cost;
    }
    return RMT_PUMP_MORE;
}

rmt_pump_t
rmt_serve_pump(rmt_serve_state_t *self)
{
    rmt_pump_t result = RMT_PUMP_IDLE;
    self->is_waiting = false;
    for (rmt_caller_t *caller = zhashx_first(self->callers); caller;
         caller = zhashx_next(self->callers)) {
        if (caller->is_gone)
            continue;
        const rmt_pump_t one = s_pump_caller(self, caller);
        result = one > result ? one : result;
    }
    return result == RMT_PUMP_IDLE && self->is_waiting ? RMT_PUMP_FULL : result;
}
