// A relay: rmt_serve over the ring of a target that installs. One peer has its slot,
// until it has asked nothing for a second: with two, both would come at half the pace.
// One that is nearer behind takes the slot, and the other finds it nearer ahead: so
// chains that began apart become one.
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "exchange/rmt_serve_state.h"

#define SLOT_MS 1000
#define NEARER ((uint64_t) 128 * 1024) // Bytes: less is no reason to change

// How far the owner has come, and whether it gives: the whole answer to a FETCH without
// ids, which asks for that alone.
static void
s_answer(rmt_serve_state_t *self, rmt_caller_t *caller, const rmt_msg_t *fetch,
         rmt_code_t code, const char *text)
{
    rmt_error_t ignored = {0};
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_ABSENT);
    msg->ids = fetch->ids ? zchunk_dup(fetch->ids) : NULL;
    msg->code = code;
    msg->done = rmt_ring_position(self->ring);
    rmt_msg_text(&msg->text, text);
    (void) rmt_serve_send(self, caller, msg, &ignored);
}

bool
rmt_serve_ring_admits(rmt_serve_state_t *self, rmt_caller_t *caller,
                      const rmt_msg_t *fetch)
{
    const int64_t now = rmt_clock_ms();
    const bool is_nearer = fetch->done > self->child_done + NEARER &&
                           fetch->done <= rmt_ring_position(self->ring);
    if (!*self->child || streq(self->child, caller->user) || is_nearer ||
        now - self->child_ms > SLOT_MS) {
        self->child_done = fetch->done;
        memcpy(self->child, caller->user, sizeof self->child);
        self->child_ms = now;
        if (!fetch->ids || zchunk_size(fetch->ids) == 0)
            s_answer(self, caller, fetch, RMT_E_OK, "the slot is yours");
        return true;
    }
    s_answer(self, caller, fetch, RMT_E_BUSY, "the relay gives to another peer");
    return false;
}

// A chunk that is on its way here is waited for by a peer that is not ahead: a peer that
// is ahead would have it from elsewhere before.
bool
rmt_serve_ring_hold(rmt_serve_state_t *self, rmt_caller_t *caller, rmt_wish_t *wish)
{
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_CHUNK);
    memcpy(msg->id, zchunk_data(wish->ids) + wish->next * RMT_ID_SIZE, RMT_ID_SIZE);
    msg->done = rmt_ring_position(self->ring);
    rmt_id_t id;
    memcpy(id.bytes, msg->id, RMT_ID_SIZE);
    const rmt_ring_state_t state = rmt_id_equal(&wish->root, rmt_ring_image(self->ring))
                                       ? rmt_ring_get(self->ring, &id, msg)
                                       : RMT_RING_ABSENT;
    self->child_ms = rmt_clock_ms();
    if (state == RMT_RING_HERE) {
        wish->next++;
        caller->wished--;
        caller->held = rmt_take(&msg);
        return true;
    }
    if (state == RMT_RING_COMING && wish->done <= msg->done) {
        self->is_waiting = true;
        return false;
    }
    rmt_error_t why = {0};
    rmt_fail(&why, RMT_E_NOT_FOUND, "the relay does not have the chunk");
    const uint64_t done = msg->done;
    rmt_serve_refuse_rest(self, caller, wish, &why);
    caller->held->done = done;
    return true;
}
