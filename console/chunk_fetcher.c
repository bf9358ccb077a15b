#include "console/chunk_fetcher.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_grow.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TRY_MS 7000          // Without any progress; then it is another holder's turn
#define AGAIN_MS 4000        // And while none has answered since
#define LOOK_MS 3000         // For a store to show that it has the image
#define PAUSE_MS 500         // Between tries
#define GRANT_MS (8 * 60000) // The broker gives the right for 10 minutes
#define GRANT_AGAIN_MS 60000 // Between tries to get it for longer
#define TAKE_MAX 64          // Messages before the owner looks around again

typedef struct {
    image_t *image;
    zsock_t *pipe;
    bool is_terminated;
    rmt_id_t *wanted;
    size_t wanted_count, wanted_room;
    int64_t granted_ms, renewed_ms; // When the right was given, and asked for last
    int64_t till_ms;                // Of this try
    int64_t pause_ms;               // Fetch nothing before
    size_t failures;                // One after the other
    rmt_id_t *left;                 // Of the fetch under way
    size_t left_count;
} self_t;

// ---- What the owner says

static void
s_take_message(self_t *self)
{
    rmt_auto(zmsg) msg = zmsg_recv(self->pipe);
    zframe_t *first = msg ? zmsg_first(msg) : NULL;
    if (!first || zframe_streq(first, "$TERM")) {
        self->is_terminated = true;
        return;
    }
    const size_t count = zframe_size(first) / RMT_ID_SIZE;
    rmt_grow(&self->wanted, &self->wanted_room, self->wanted_count + count);
    memcpy(self->wanted + self->wanted_count, zframe_data(first), count * RMT_ID_SIZE);
    self->wanted_count += count;
}

static void
s_listen(self_t *self, int64_t wait_ms)
{
    zmq_pollitem_t item = {zsock_resolve(self->pipe), 0, ZMQ_POLLIN, 0};
    if (zmq_poll(&item, 1, (long) wait_ms) != 1)
        return;
    s_take_message(self);
    while (!self->is_terminated && zmq_poll(&item, 1, 0) == 1)
        s_take_message(self);
}

// While a fetch waits.
static bool
s_is_alive(void *context)
{
    self_t *self = context;
    s_listen(self, 0);
    return !self->is_terminated && rmt_clock_ms() < self->till_ms;
}

// ---- Fetching

static int
s_on_chunk(void *context, const rmt_chunk_t *chunk, const void *plain, rmt_error_t *error)
{
    self_t *self = context;
    (void) error;
    self->till_ms = rmt_clock_ms() + TRY_MS;
    self->failures = 0;
    for (size_t i = 0; i < self->left_count; i++)
        if (rmt_id_equal(&self->left[i], &chunk->id)) {
            self->left[i] = self->left[--self->left_count];
            break;
        }
    rmt_auto(zmsg) msg = zmsg_new();
    zmsg_addmem(msg, &chunk->id, sizeof chunk->id);
    zmsg_addmem(msg, plain, chunk->plain_size);
    (void) zmsg_send(&msg, self->pipe);
    return 0;
}

// The right to fetch ends while nothing is read. Where the broker does not answer, what
// is left of the right may do.
static void
s_keep_right(self_t *self)
{
    const int64_t now = rmt_clock_ms();
    if (now - self->granted_ms < GRANT_MS || now - self->renewed_ms < GRANT_AGAIN_MS)
        return;
    rmt_error_t ignored = {0};
    self->renewed_ms = now;
    if (image_renew(self->image, &ignored) == 0)
        self->granted_ms = now;
}

// Find a store that holds the image, from its own place on.
static void
s_find_store(self_t *self)
{
    int reached = -1;
    for (size_t i = 0; reached == -1 && !self->is_terminated; i++) {
        rmt_error_t ignored = {0};
        self->till_ms = rmt_clock_ms() + LOOK_MS;
        reached = image_reach(self->image, i, &ignored);
        if (i > 0 && !self->image->engines)
            return; // The broker does not answer
    }
    if (reached == 1)
        self->granted_ms = rmt_clock_ms();
}

static void
s_say_failure(self_t *self, const rmt_error_t *why)
{
    rmt_auto(zmsg) msg = zmsg_new();
    zmsg_addmem(msg, self->left, self->left_count * sizeof *self->left);
    zmsg_addmem(msg, why, sizeof *why);
    zmsg_addstr(msg, "failure");
    (void) zmsg_send(&msg, self->pipe);
}

static void
s_fetch(self_t *self)
{
    rmt_auto_ptr ids = rmt_take(&self->wanted);
    const size_t count = self->wanted_count;
    self->wanted_count = self->wanted_room = 0;
    rmt_auto_ptr left = malloc(count * sizeof *self->left);
    assert(left);
    memcpy(left, ids, count * sizeof *self->left);
    self->left = left;
    self->left_count = count;
    s_keep_right(self);
    rmt_error_t why = {0};
    self->till_ms = rmt_clock_ms() + (self->failures ? AGAIN_MS : TRY_MS);
    if (rmt_fetch_get_plain(self->image->fetch, ids, count, s_on_chunk, self, &why) ==
            0 ||
        self->is_terminated)
        return;
    if (why.code == RMT_E_CANCELLED)
        (void) rmt_fail(&why, RMT_E_UNAVAILABLE,
                        "no holder of the image answers; see: ramet doctor");
    // At first the next holder is asked, and then the broker, which may know others.
    if (++self->failures > 1 || why.code == RMT_E_NOT_ALLOWED)
        s_find_store(self);
    self->pause_ms = rmt_clock_ms() + PAUSE_MS;
    s_say_failure(self, &why);
}

static void
s_run(zsock_t *pipe, void *context)
{
    self_t *self = context;
    self->pipe = pipe;
    self->image->alive = s_is_alive;
    self->image->context = self;
    rmt_fetch_set_alive(self->image->fetch, s_is_alive, self);
    (void) zsock_signal(pipe, 0);
    while (!self->is_terminated) {
        const int64_t pause = self->pause_ms - rmt_clock_ms();
        if (self->wanted_count && pause <= 0)
            s_fetch(self);
        else
            s_listen(self, self->wanted_count ? pause : -1);
    }
    self->image->alive = NULL;
    rmt_fetch_set_alive(self->image->fetch, NULL, NULL);
    free(self->wanted);
    free(self);
}

zactor_t *
chunk_fetcher_new(image_t *image)
{
    self_t *self = calloc(1, sizeof *self);
    assert(self);
    self->image = image;
    self->granted_ms = rmt_clock_ms();
    zactor_t *actor = zactor_new(s_run, self);
    assert(actor);
    return actor;
}

// ---- The owner's side

void
chunk_fetcher_want(zactor_t *self, const rmt_id_t *ids, size_t count)
{
    rmt_auto(zmsg) msg = zmsg_new();
    zmsg_addmem(msg, ids, count * sizeof *ids);
    (void) zmsg_send(&msg, self);
}

void
chunk_fetcher_take(zactor_t *self, const chunk_fetcher_told_t *told, void *context)
{
    zmq_pollitem_t item = {zsock_resolve(self), 0, ZMQ_POLLIN, 0};
    for (size_t i = 0; i < TAKE_MAX && zmq_poll(&item, 1, 0) == 1; i++) {
        rmt_auto(zmsg) msg = zmsg_recv(self);
        if (!msg)
            return;
        zframe_t *ids = zmsg_first(msg);
        zframe_t *rest = zmsg_next(msg);
        const rmt_id_t *first = (const rmt_id_t *) zframe_data(ids);
        if (zmsg_size(msg) == 2) {
            told->chunk(context, first, zframe_data(rest), zframe_size(rest));
            continue;
        }
        rmt_error_t why;
        memcpy(&why, zframe_data(rest), sizeof why);
        told->failure(context, first, zframe_size(ids) / sizeof *first, &why);
    }
}
