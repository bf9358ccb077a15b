#include "state/rmt_state.h"

#include <assert.h>
#include <inttypes.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "facts/rmt_endpoint.h"
#include "state/rmt_command.h"
#include "state/rmt_farm_clock.h"
#include "state/rmt_redis.h"

// The pipes to and from the thread are bounded, and both ends may write at once; with no
// more calls under way than this neither can ever wait for the other.
#define UNDER_WAY_MAX 400
// Nor may it be more than Redis does well within its time-out: a connection that is given
// up because of the calls that wait on it would be filled with the next ones at once.
#define UNDER_WAY_SIZE_MAX ((size_t) 4 << 20)

typedef struct {
    rmt_state_fn *fn;
    void *context;
    size_t size; // Of the command
    int64_t deadline;
} pending_t;

struct rmt_state {
    zactor_t *actor;
    zhashx_t *pending; // Ticket -> pending_t
    uint64_t ticket;
    uint64_t losses;  // Of the connection, that were told
    zlist_t *backlog; // Calls that are not handed to the thread yet
    size_t under_way, under_way_size;
    rmt_state_server_t server;
    rmt_farm_clock_t clock;
    rmt_state_listener_t listener;
};

static void
s_pending_destroy(void **item_p)
{
    free(*item_p);
    *item_p = NULL;
}

static int
s_check_place(const char *name, const char *text, rmt_error_t *error)
{
    char host[RMT_ENDPOINT_HOST_SIZE];
    uint16_t port = 0;
    if (rmt_endpoint_split(text, host, &port, error) == -1)
        return rmt_wrap(error, "%s", name);
    if (port == 0 || streq(host, "@") || streq(host, "*"))
        return rmt_fail(error, RMT_E_USAGE,
                        "%s: \"%.64s\" is not a place to connect to; write one such as "
                        "10.0.0.1:6379",
                        name, text);
    return 0;
}

// One that stands there twice would have two voices when its primary is cut off with it.
static int
s_check_sentinels(const char *const *sentinels, rmt_error_t *error)
{
    size_t count = 0;
    for (; sentinels[count]; count++) {
        if (s_check_place("redis-sentinels", sentinels[count], error) == -1)
            return -1;
        for (size_t i = 0; i < count; i++)
            if (streq(sentinels[i], sentinels[count]))
                return rmt_fail(error, RMT_E_USAGE,
                                "redis-sentinels has %.64s twice; write each sentinel "
                                "once, for more than half of them decide",
                                sentinels[i]);
    }
    return count <= RMT_SENTINELS_MAX
               ? 0
               : rmt_fail(error, RMT_E_USAGE, "redis-sentinels: %zu, limit %d", count,
                          RMT_SENTINELS_MAX);
}

static int
s_check(const rmt_state_server_t *server, rmt_error_t *error)
{
    if (rmt_state_server_is_guided(server))
        return s_check_sentinels(server->sentinels, error);
    if (!*server->address)
        return rmt_fail(error, RMT_E_USAGE, "the address of Redis is empty");
    return server->address[0] == '/' ? 0 : s_check_place("redis", server->address, error);
}

rmt_state_t *
rmt_state_new(const rmt_state_server_t *server, const rmt_state_listener_t *listener,
              rmt_error_t *error)
{
    assert(server && error);
    if (s_check(server, error) == -1)
        return NULL;
    rmt_state_t *self = zmalloc(sizeof *self);
    if (listener)
        self->listener = *listener;
    self->server = *server;
    self->backlog = zlist_new();
    self->pending = zhashx_new();
    zhashx_set_destructor(self->pending, s_pending_destroy);
    self->actor = zactor_new(rmt_redis_run, rmt_redis_new(&self->server));
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
        rmt_msg_text(&reply->text, "the program is ending");
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

void
rmt_state_hear_clock(rmt_state_t *self, uint64_t clock_ms)
{
    assert(self);
    rmt_farm_clock_hear(&self->clock, clock_ms);
}

// ---- Calls

static pending_t *
s_pending_of(rmt_state_t *self, zmsg_t *msg)
{
    rmt_auto_str ticket = zframe_strdup(zmsg_first(msg));
    pending_t *pending = zhashx_lookup(self->pending, ticket);
    assert(pending);
    return pending;
}

static bool
s_has_room(const rmt_state_t *self, size_t size)
{
    return self->under_way == 0 || (self->under_way < UNDER_WAY_MAX &&
                                    self->under_way_size + size <= UNDER_WAY_SIZE_MAX);
}

static void
s_send_backlog(rmt_state_t *self)
{
    while (zlist_size(self->backlog) > 0) {
        const pending_t *pending = s_pending_of(self, zlist_first(self->backlog));
        if (!s_has_room(self, pending->size))
            return;
        self->under_way++;
        self->under_way_size += pending->size;
        zmsg_t *msg = zlist_pop(self->backlog);
        zactor_send(self->actor, &msg);
    }
}

// What has waited for the whole time is not asked: the calls behind it would
// come too late as well.
static void
s_expire_backlog(rmt_state_t *self)
{
    const int64_t now = rmt_clock_ms();
    while (zlist_size(self->backlog) > 0 &&
           s_pending_of(self, zlist_first(self->backlog))->deadline <= now) {
        rmt_auto(zmsg) msg = zlist_pop(self->backlog);
        rmt_auto_str ticket = zmsg_popstr(msg);
        rmt_auto(rmt_msg) reply = rmt_msg_away("Redis is slower than the calls for it");
        s_answer(self, ticket, reply);
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
    zmsg_addstrf(msg, "%" PRIu64, self->losses);
    zframe_t *command = rmt_command_new(call, rmt_farm_clock_ms(&self->clock));
    pending->size = zframe_size(command);
    pending->deadline = rmt_clock_ms() + self->server.timeout_ms;
    (void) zmsg_append(msg, &command);
    zlist_append(self->backlog, rmt_take(&msg));
    s_send_backlog(self);
}

// ---- Answers

static void
s_tell_link(rmt_state_t *self, bool is_up, zmsg_t *msg)
{
    const rmt_state_listener_t *listener = &self->listener;
    rmt_auto_str address = zmsg_popstr(msg);
    self->losses += !is_up;
    if (listener->on_link)
        listener->on_link(listener->context, is_up, address);
}

static void
s_tell_away(const rmt_state_listener_t *listener, zmsg_t *msg)
{
    rmt_auto_str text = zmsg_popstr(msg);
    if (listener->on_away)
        listener->on_away(listener->context, text);
}

static void
s_tell_ready(const rmt_state_listener_t *listener, zmsg_t *msg)
{
    rmt_auto_str service = zmsg_popstr(msg);
    if (listener->on_ready)
        listener->on_ready(listener->context, service);
}

static void
s_take(rmt_state_t *self, zmsg_t *msg)
{
    rmt_auto_str head = zmsg_popstr(msg);
    if (streq(head, "up") || streq(head, "down")) {
        s_tell_link(self, streq(head, "up"), msg);
    } else if (streq(head, "away")) {
        s_tell_away(&self->listener, msg);
    } else if (streq(head, "ready")) {
        s_tell_ready(&self->listener, msg);
    } else {
        const pending_t *pending = zhashx_lookup(self->pending, head);
        assert(pending);
        self->under_way--;
        self->under_way_size -= pending->size;
        s_answer(self, head, (rmt_msg_t *) zframe_data(zmsg_first(msg)));
        s_send_backlog(self);
    }
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
    s_expire_backlog(self);
}
