#include "exchange/rmt_stream.h"
#include <assert.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "exchange/rmt_credit.h"
#include "exchange/rmt_chunk_frame.h"
#include "machine/rmt_inventory.h"
#include "store/rmt_manifest.h"
#include "store/rmt_store.h"

// Bytes are given back in lots of this size, or when nothing came for a while.
#define ACK_LOT ((uint64_t) 512 * 1024)
#define ACK_MS 2
// What a crash of the receiver may cost: stored bytes that are not durable yet, and for
// how long.
#define SAVE_SIZE ((uint64_t) 128 * 1024 * 1024)
#define SAVE_MS 15000

struct rmt_stream {
    zactor_t *actor;
};

// The thread's own.
typedef struct {
    rmt_store_t *store;
    void *plain;
    uint64_t taken;   // Cost of chunks that were not acknowledged yet
    uint64_t unsaved; // Bytes since the last commit
    int64_t since_ms; // When the first of them came
    bool failed;
} s_state_t;

static void
s_reply(zsock_t *pipe, rmt_msg_t *msg)
{
    zsock_send(pipe, "p", msg);
}

static void
s_fail(s_state_t *self, zsock_t *pipe, rmt_error_t *error)
{
    rmt_store_rollback(self->store);
    (void) rmt_inventory_name_disk(rmt_store_root(self->store), error);
    self->failed = true;
    rmt_msg_t *msg = rmt_msg_new(RMT_MSG_REFUSED);
    msg->code = error->code;
    rmt_msg_text(&msg->text, error->text);
    s_reply(pipe, msg);
}

static void
s_ack(s_state_t *self, zsock_t *pipe)
{
    if (self->taken == 0)
        return;
    rmt_msg_t *msg = rmt_msg_new(RMT_MSG_ACK);
    msg->window = self->taken;
    self->taken = 0;
    s_reply(pipe, msg);
}

static int
s_read(void *context, const rmt_id_t *id, void *plain_out, size_t *size_out,
       rmt_error_t *error)
{
    return rmt_store_read(context, id, plain_out, size_out, error);
}

// True when the store has a manifest and every chunk that its entries name.
static bool
s_holds(const s_state_t *self, const rmt_id_t *root)
{
    rmt_error_t error = {0};
    if (!rmt_store_has(self->store, root))
        return false;
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(root, s_read, self->store, &error);
    rmt_entry_t entry;
    int more = reader ? 1 : -1;
    while (more == 1 && (more = rmt_manifest_reader_next(reader, &entry, &error)) == 1)
        for (size_t i = 0; i < entry.chunk_count; i++)
            if (!rmt_store_has(self->store, &entry.chunks[i]))
                return false;
    return more == 0;
}

static void
s_offer(s_state_t *self, zsock_t *pipe, const rmt_msg_t *msg)
{
    const size_t count = msg->ids ? zchunk_size(msg->ids) / RMT_ID_SIZE : 0;
    rmt_msg_t *want = rmt_msg_new(RMT_MSG_WANT);
    want->serial = msg->serial;
    want->bitmap = zchunk_new(NULL, (count + 7) / 8);
    zchunk_fill(want->bitmap, 0, (count + 7) / 8);
    for (size_t i = 0; i < count; i++) {
        rmt_id_t id;
        memcpy(id.bytes, zchunk_data(msg->ids) + i * RMT_ID_SIZE, RMT_ID_SIZE);
        if (msg->kind == RMT_MSG_WHOLE ? !s_holds(self, &id)
                                       : !rmt_store_has(self->store, &id))
            zchunk_data(want->bitmap)[i / 8] |= (byte) (1u << (i % 8));
    }
    s_reply(pipe, want);
}

// False when the store cannot keep what has come, and the stream has ended by it.
static bool
s_save(s_state_t *self, zsock_t *pipe)
{
    rmt_error_t error = {0};
    self->unsaved = 0;
    if (rmt_store_commit(self->store, &error) == 0)
        return true;
    s_fail(self, pipe, &error);
    return false;
}

static void
s_chunks(s_state_t *self, zsock_t *pipe, const rmt_msg_t *msg)
{
    rmt_error_t error = {0};
    rmt_chunk_t chunk;
    const uint8_t *at = zframe_data(msg->payload);
    const uint8_t *end = at + zframe_size(msg->payload);
    self->taken += rmt_credit_cost(zframe_size(msg->payload));
    while (rmt_chunk_frame_next(&at, end, &chunk)) {
        if (rmt_chunk_open(&chunk, self->plain, &error) == -1 ||
            rmt_store_put(self->store, &chunk, &error) == -1) {
            s_fail(self, pipe, &error);
            return;
        }
    }
    if (self->taken >= ACK_LOT)
        s_ack(self, pipe);
    if (self->unsaved == 0)
        self->since_ms = rmt_clock_ms();
    self->unsaved += zframe_size(msg->payload);
    if (self->unsaved >= SAVE_SIZE)
        (void) s_save(self, pipe);
}

static void
s_seal(s_state_t *self, zsock_t *pipe, const rmt_msg_t *msg)
{
    s_ack(self, pipe);
    if (!s_save(self, pipe))
        return;
    rmt_msg_t *sealed = rmt_msg_new(RMT_MSG_SEALED);
    sealed->serial = msg->serial;
    s_reply(pipe, sealed);
}

static void
s_handle(s_state_t *self, zsock_t *pipe, const rmt_msg_t *msg)
{
    if (self->failed)
        return;
    if (msg->kind == RMT_MSG_OFFER || msg->kind == RMT_MSG_WHOLE)
        s_offer(self, pipe, msg);
    else if (msg->kind == RMT_MSG_CHUNKS)
        s_chunks(self, pipe, msg);
    else if (msg->kind == RMT_MSG_SEAL)
        s_seal(self, pipe, msg);
}

static bool
s_is_quiet(zsock_t *pipe, int64_t wait_ms)
{
    zmq_pollitem_t item = {zsock_resolve(pipe), 0, ZMQ_POLLIN, 0};
    return zmq_poll(&item, 1, wait_ms > 0 ? (long) wait_ms : 0) == 0;
}

// What is due before the next message is waited for. Acknowledging each small chunk by
// itself would cost as much as receiving it.
static void
s_settle(s_state_t *self, zsock_t *pipe)
{
    if (!self->failed && self->taken && s_is_quiet(pipe, ACK_MS))
        s_ack(self, pipe);
    if (self->failed || self->unsaved == 0)
        return;
    const int64_t left_ms = self->since_ms + SAVE_MS - rmt_clock_ms();
    if (left_ms <= 0 || s_is_quiet(pipe, left_ms))
        (void) s_save(self, pipe);
}

// Each chunk that has come was checked, so it stays: the next attempt of the capture need
// not send it again.
static void
s_keep(s_state_t *self)
{
    rmt_error_t ignored = {0}; // The owner has left; what is lost is sent again
    if (self->failed || rmt_store_commit(self->store, &ignored) == -1)
        rmt_store_rollback(self->store);
}

static void
s_run(zsock_t *pipe, void *args)
{
    rmt_auto(rmt_store) store = args; // Taken: ends with this thread
    rmt_auto_ptr plain = malloc(RMT_CHUNK_PLAIN_MAX);
    assert(plain);
    s_state_t self = {.store = store, .plain = plain};
    zsock_signal(pipe, 0);
    while (true) {
        s_settle(&self, pipe);
        rmt_msg_t *next = NULL;
        if (zsock_recv(pipe, "p", &next) == -1 || !next)
            break; // The owner leaves
        rmt_auto(rmt_msg) msg = next;
        s_handle(&self, pipe, msg);
    }
    s_keep(&self);
    // Tells the owner that no further message comes.
    s_reply(pipe, NULL);
}

// ---- The owner

rmt_stream_t *
rmt_stream_new(const char *root, rmt_error_t *error)
{
    rmt_store_t *store = rmt_store_new(root, false, error);
    if (!store)
        return NULL;
    rmt_stream_t *self = calloc(1, sizeof(*self));
    assert(self);
    self->actor = zactor_new(s_run, store);
    assert(self->actor);
    return self;
}

void
rmt_stream_destroy(rmt_stream_t **self_p)
{
    assert(self_p);
    rmt_stream_t *self = rmt_take(self_p);
    if (!self)
        return;
    zsock_send(self->actor, "p", NULL);
    rmt_msg_t *msg;
    while (zsock_recv(self->actor, "p", &msg) == 0 && msg)
        rmt_msg_destroy(&msg);
    zactor_destroy(&self->actor);
    free(self);
}

zsock_t *
rmt_stream_socket(rmt_stream_t *self)
{
    return zactor_sock(self->actor);
}

void
rmt_stream_send(rmt_stream_t *self, rmt_msg_t **msg_p)
{
    zsock_send(self->actor, "p", rmt_take(msg_p));
}

rmt_msg_t *
rmt_stream_recv(rmt_stream_t *self)
{
    if (!(zsock_events(self->actor) & ZMQ_POLLIN))
        return NULL;
    rmt_msg_t *msg = NULL;
    return zsock_recv(self->actor, "p", &msg) == 0 ? msg : NULL;
}
