#include "rmt_state.h"

#include <assert.h>
#include <inttypes.h>
#include "rmt_auto.h"
#include "rmt_redis.h"

// The pipes to and from the thread are bounded, and both ends may write at once; with no
// more calls under way than this neither can ever wait for the other.
#define UNDER_WAY_MAX 400

typedef struct {
    rmt_state_fn *fn;
    void *context;
} pending_t;

struct rmt_state {
    zactor_t *actor;
    zhashx_t *pending; // Ticket -> pending_t
    uint64_t ticket;
    zlist_t *backlog; // Calls that are not handed to the thread yet
    size_t under_way;
    rmt_state_link_fn *on_link;
    void *context;
};

static void
s_pending_destroy(void **item_p)
{
    free(*item_p);
    *item_p = NULL;
}

rmt_state_t *
rmt_state_new(const char *address, uint32_t timeout_ms, rmt_state_link_fn *on_link,
              void *context, rmt_error_t *error)
{
    assert(address && error);
    if (!*address) {
        rmt_fail(error, RMT_E_USAGE, "no address of redis");
        return NULL;
    }
    rmt_state_t *self = zmalloc(sizeof *self);
    self->on_link = on_link;
    self->context = context;
    self->backlog = zlist_new();
    self->pending = zhashx_new();
    zhashx_set_destructor(self->pending, s_pending_destroy);
    self->actor = zactor_new(rmt_redis_run, rmt_redis_new(address, timeout_ms));
    assert(self->actor);
    return self;
}

static void
s_answer(rmt_state_t *self, const char *ticket, rmt_msg_t *reply)
{
    pending_t *pending = zhashx_lookup(self->pending, ticket);
    assert(pending);
    rmt_state_fn *fn = pending->fn;
    void *context = pending->context;
    zhashx_delete(self->pending, ticket);
    if (fn)
        fn(context, reply);
}

void
rmt_state_destroy(rmt_state_t **self_p)
{
    assert(self_p);
    rmt_state_t *self = *self_p;
    if (!self)
        return;
    zactor_destroy(&self->actor);
    // A callback may make new calls; those are answered here in their turn.
    while (zhashx_first(self->pending)) {
        rmt_auto_str ticket = strdup(zhashx_cursor(self->pending));
        rmt_auto(rmt_msg) reply = rmt_msg_new(RMT_MSG_REPLY);
        reply->code = RMT_E_CANCELLED;
        rmt_msg_text(&reply->text, "the program ends");
        s_answer(self, ticket, reply);
    }
    zhashx_destroy(&self->pending);
    zmsg_t *msg;
    while ((msg = zlist_pop(self->backlog)))
        zmsg_destroy(&msg);
    zlist_destroy(&self->backlog);
    free(self);
    *self_p = NULL;
}

zsock_t *
rmt_state_socket(rmt_state_t *self)
{
    assert(self);
    return zactor_sock(self->actor);
}

size_t
rmt_state_pending(const rmt_state_t *self)
{
    assert(self);
    return zhashx_size(self->pending);
}

// ---- Calls

static void
s_add_record(zmsg_t *msg, const rmt_record_t *record)
{
    const size_t count = record ? rmt_record_count(record) : 0;
    for (size_t i = 0; i < count; i++) {
        size_t size = 0;
        const void *value = rmt_record_value_at(record, i, &size);
        zmsg_addstr(msg, rmt_record_name_at(record, i));
        zmsg_addmem(msg, value, size);
    }
}

static void
s_send_backlog(rmt_state_t *self)
{
    while (self->under_way < UNDER_WAY_MAX && zlist_size(self->backlog) > 0) {
        zmsg_t *msg = zlist_pop(self->backlog);
        zactor_send(self->actor, &msg);
        self->under_way++;
    }
}

void
rmt_state_call(rmt_state_t *self, const rmt_call_t *call, rmt_state_fn *fn, void *context)
{
    assert(self && call && call->function);
    pending_t *pending = zmalloc(sizeof *pending);
    pending->fn = fn;
    pending->context = context;
    char ticket[24];
    snprintf(ticket, sizeof ticket, "%" PRIu64, ++self->ticket);
    zhashx_insert(self->pending, ticket, pending);
    if (!self->actor)
        return; // In destroy, which answers it
    rmt_auto(zmsg) msg = zmsg_new();
    zmsg_addstr(msg, ticket);
    zmsg_addstr(msg, call->function);
    zmsg_addstr(msg, "0");
    s_add_record(msg, call->meta);
    zmsg_addstr(msg, "--");
    s_add_record(msg, call->body);
    const size_t count = call->items ? rmt_records_count(call->items) : 0;
    for (size_t i = 0; i < count; i++) {
        zmsg_addstr(msg, "--");
        s_add_record(msg, rmt_records_at(call->items, i));
    }
    zlist_append(self->backlog, rmt_take(&msg));
    s_send_backlog(self);
}

// ---- Answers

static size_t
s_pop_number(zmsg_t *msg)
{
    rmt_auto_str text = zmsg_popstr(msg);
    return text ? strtoul(text, NULL, 10) : 0;
}

// Names that no record may have were made by nobody but us; they are left out.
static void
s_pop_record(zmsg_t *msg, rmt_record_t *record)
{
    const size_t count = s_pop_number(msg);
    for (size_t i = 0; i + 1 < count; i += 2) {
        rmt_auto_str name = zmsg_popstr(msg);
        rmt_auto(zframe) value = zmsg_pop(msg);
        if (name && value && rmt_record_name_is_valid(name))
            rmt_record_put(record, name, zframe_data(value), zframe_size(value));
    }
}

static void
s_take(rmt_state_t *self, zmsg_t *msg)
{
    rmt_auto_str ticket = zmsg_popstr(msg);
    if (zmsg_size(msg) == 0) {
        if (self->on_link)
            self->on_link(self->context, streq(ticket, "up"));
        return;
    }
    rmt_auto(rmt_msg) reply = rmt_msg_new(RMT_MSG_REPLY);
    reply->code = (uint32_t) s_pop_number(msg);
    rmt_auto_str text = zmsg_popstr(msg);
    rmt_auto_str cursor = zmsg_popstr(msg);
    rmt_msg_text(&reply->text, text);
    rmt_msg_text(&reply->cursor, cursor);
    s_pop_record(msg, rmt_msg_body(reply));
    rmt_records_t *items = rmt_msg_items(reply);
    while (zmsg_size(msg) > 0)
        s_pop_record(msg, rmt_records_add(items));
    self->under_way--;
    s_answer(self, ticket, reply);
    s_send_backlog(self);
}

void
rmt_state_handle(rmt_state_t *self)
{
    assert(self);
    while (zsock_events(rmt_state_socket(self)) & ZMQ_POLLIN) {
        rmt_auto(zmsg) msg = zactor_recv(self->actor);
        if (!msg)
            return; // Interrupted
        s_take(self, msg);
    }
}
