#include "exchange/rmt_roots.h"
#include <assert.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "store/rmt_store.h"

#define SLOTS 8
#define FAILURE_MS 2000

typedef struct {
    bool used, is_pending;
    rmt_id_t image;
    rmt_closure_t *closure; // NULL: pending or failed
    rmt_error_t error;
    int64_t touched_ms, failed_ms;
} s_slot_t;

// What the thread answers; passes from owner to owner as a pointer.
typedef struct {
    rmt_id_t image;
    rmt_closure_t *closure;
    rmt_error_t error;
} s_answer_t;

struct rmt_roots {
    zactor_t *actor;
    s_slot_t slots[SLOTS];
    size_t pending;
};

// ---- The thread

static s_answer_t *
s_make(rmt_store_t *store, const rmt_id_t *image)
{
    s_answer_t *answer = calloc(1, sizeof(*answer));
    assert(answer);
    answer->image = *image;
    if (rmt_store_refresh(store, &answer->error) == 0)
        answer->closure =
            rmt_closure_new(rmt_closure_from_store, store, image, &answer->error);
    return answer;
}

static void
s_run(zsock_t *pipe, void *args)
{
    rmt_auto(rmt_store) store = args; // Taken: ends with this thread
    zsock_signal(pipe, 0);
    while (true) {
        rmt_auto(zmsg) msg = zmsg_recv(pipe);
        if (!msg)
            break;
        zframe_t *frame = zmsg_first(msg);
        if (zframe_size(frame) != RMT_ID_SIZE)
            break; // $TERM
        rmt_id_t image;
        memcpy(image.bytes, zframe_data(frame), RMT_ID_SIZE);
        zsock_send(pipe, "p", s_make(store, &image));
    }
}

// ---- The owner

rmt_roots_t *
rmt_roots_new(const char *root, rmt_error_t *error)
{
    rmt_store_t *store = rmt_store_new(root, false, error);
    if (!store)
        return NULL;
    rmt_roots_t *self = calloc(1, sizeof(*self));
    assert(self);
    self->actor = zactor_new(s_run, store);
    assert(self->actor);
    return self;
}

void
rmt_roots_destroy(rmt_roots_t **self_p)
{
    assert(self_p);
    rmt_roots_t *self = rmt_take(self_p);
    if (!self)
        return;
    while (self->pending)
        rmt_roots_take(self);
    zactor_destroy(&self->actor);
    for (size_t i = 0; i < SLOTS; i++)
        rmt_closure_destroy(&self->slots[i].closure);
    free(self);
}

zsock_t *
rmt_roots_socket(rmt_roots_t *self)
{
    return zactor_sock(self->actor);
}

static void
s_clear(s_slot_t *slot)
{
    rmt_closure_destroy(&slot->closure);
    memset(slot, 0, sizeof(*slot));
}

// Oldest first, until what is left fits; the slot `keep` stays.
static void
s_shrink(rmt_roots_t *self, const s_slot_t *keep)
{
    while (true) {
        size_t ids = 0;
        s_slot_t *oldest = NULL;
        for (size_t i = 0; i < SLOTS; i++) {
            s_slot_t *slot = &self->slots[i];
            if (!slot->closure)
                continue;
            ids += rmt_closure_count(slot->closure);
            if (slot != keep && (!oldest || slot->touched_ms < oldest->touched_ms))
                oldest = slot;
        }
        if (!oldest || ids * RMT_ID_SIZE <= RMT_ROOTS_BYTES)
            return;
        s_clear(oldest);
    }
}

static s_slot_t *
s_find(rmt_roots_t *self, const rmt_id_t *image)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (self->slots[i].used && rmt_id_equal(&self->slots[i].image, image))
            return &self->slots[i];
    return NULL;
}

void
rmt_roots_take(rmt_roots_t *self)
{
    s_answer_t *answer = NULL;
    if (zsock_recv(self->actor, "p", &answer) == -1 || !answer)
        return;
    self->pending--;
    s_slot_t *slot = s_find(self, &answer->image);
    assert(slot);
    slot->is_pending = false;
    slot->closure = answer->closure;
    slot->error = answer->error;
    slot->touched_ms = rmt_clock_ms();
    slot->failed_ms = slot->touched_ms;
    free(answer);
    s_shrink(self, slot);
}

// A free slot, or the one that was of no use for the longest time. NULL: all pending.
static s_slot_t *
s_slot(rmt_roots_t *self)
{
    s_slot_t *best = NULL;
    for (size_t i = 0; i < SLOTS; i++) {
        s_slot_t *slot = &self->slots[i];
        if (!slot->used)
            return slot;
        if (!slot->is_pending && (!best || slot->touched_ms < best->touched_ms))
            best = slot;
    }
    if (best)
        s_clear(best);
    return best;
}

const rmt_closure_t *
rmt_roots_find(rmt_roots_t *self, const rmt_id_t *image, rmt_error_t *error)
{
    const int64_t now = rmt_clock_ms();
    s_slot_t *slot = s_find(self, image);
    if (slot && slot->closure) {
        slot->touched_ms = now;
        return slot->closure;
    }
    if (slot && !slot->is_pending && now - slot->failed_ms < FAILURE_MS) {
        *error = slot->error;
        return NULL;
    }
    if (slot && !slot->is_pending)
        s_clear(slot);
    if (!slot || !slot->used)
        slot = s_slot(self);
    if (slot && !slot->used) {
        slot->used = true;
        slot->is_pending = true;
        slot->image = *image;
        self->pending++;
        zsock_send(self->actor, "b", image->bytes, (size_t) RMT_ID_SIZE);
    }
    rmt_fail(error, RMT_E_UNAVAILABLE,
             "the worker is still reading the image's manifests; try again later");
    return NULL;
}
