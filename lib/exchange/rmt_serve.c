#include "exchange/rmt_serve.h"
#include <assert.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "exchange/rmt_serve_state.h"

#define TICK_MS 1000
#define QUEUE_FULL_MS 2
#define IDLE_MS 60000   // A caller that asks nothing is forgotten
#define RECEIVE_MAX 256 // Messages before others get their turn
#define EVENTS_MAX 50   // Told in a second
#define NO_GRANT "this key has no grant at this worker"
#define TOO_MANY                                                                         \
    "this key has too many connections to this worker; end some of them, then try again"

struct rmt_serve {
    zactor_t *actor;
    uint16_t port;
};

// ---- For its other files (rmt_serve_state.h)

void
rmt_serve_tell(rmt_serve_state_t *self, const char *event, const char *key,
               const char *text)
{
    if (!self->event || self->events_left == 0)
        return;
    self->events_left--;
    self->event(self->context, event, key, text);
}

int
rmt_serve_send(rmt_serve_state_t *self, rmt_caller_t *caller, const rmt_msg_t *msg,
               rmt_error_t *error)
{
    if (rmt_socket_send(self->socket, caller->route, msg, false, error) == 0)
        return 0;
    if (error->code != RMT_E_UNAVAILABLE)
        caller->is_gone = true;
    return -1;
}

uint64_t
rmt_serve_share(const rmt_serve_state_t *self)
{
    const size_t callers = zhashx_size(self->callers);
    const uint64_t share = RMT_SERVE_BUDGET / (callers ? callers : 1);
    return share < self->window ? share : self->window;
}

// ---- Callers

static void
s_caller_free(void **caller_p)
{
    rmt_caller_t *caller = *caller_p;
    *caller_p = NULL;
    zframe_destroy(&caller->route);
    zlistx_destroy(&caller->wishes);
    rmt_msg_destroy(&caller->held);
    rmt_stream_destroy(&caller->stream);
    free(caller);
}

static void
s_wish_free(void **wish_p)
{
    rmt_wish_destroy((rmt_wish_t **) wish_p);
}

static void
s_remove_caller(rmt_serve_state_t *self, rmt_caller_t *caller)
{
    rmt_serve_end_stream(self, caller, "the source has closed its connection");
    self->unacked -= caller->unacked;
    rmt_auto_str route = zframe_strhex(caller->route);
    zhashx_delete(self->callers, route);
}

static rmt_caller_t *
s_caller(rmt_serve_state_t *self, rmt_packet_t *packet)
{
    rmt_auto_str route = zframe_strhex(packet->route);
    rmt_caller_t *caller = zhashx_lookup(self->callers, route);
    // A routing id is the peer's own choice, so it may come from another key.
    if (caller && !streq(caller->user, packet->user)) {
        s_remove_caller(self, caller);
        caller = NULL;
    }
    if (!caller) {
        caller = calloc(1, sizeof(*caller));
        assert(caller);
        caller->route = rmt_take(&packet->route);
        memcpy(caller->user, packet->user, sizeof(caller->user));
        caller->window = self->window;
        caller->wishes = zlistx_new();
        zlistx_set_destructor(caller->wishes, s_wish_free);
        zhashx_insert(self->callers, route, caller);
    }
    caller->heard_ms = rmt_clock_ms();
    return caller;
}

// ---- Messages

static void
s_refuse(rmt_serve_state_t *self, rmt_packet_t *packet, rmt_code_t code, const char *text)
{
    rmt_error_t ignored = {0};
    self->stats.refused++;
    rmt_serve_tell(self, "peer.refused", packet->user, text);
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_REFUSED);
    msg->code = code;
    rmt_msg_text(&msg->text, text);
    // A caller that has gone needs no answer.
    (void) rmt_socket_send(self->socket, packet->route, msg, false, &ignored);
}

static void
s_handle(rmt_serve_state_t *self, rmt_packet_t *packet)
{
    if (!rmt_grants_knows(self->grants, packet->user, rmt_clock_ms())) {
        s_refuse(self, packet, RMT_E_NOT_ALLOWED, NO_GRANT);
        return;
    }
    const rmt_msg_kind_t kind = packet->msg->kind;
    if (kind == RMT_MSG_BEAT)
        return;
    if (kind == RMT_MSG_FETCH) {
        rmt_serve_fetch(self, s_caller(self, packet), packet->msg);
    } else if (kind == RMT_MSG_ACK) {
        rmt_serve_ack(self, s_caller(self, packet), packet->msg->window);
    } else if (kind == RMT_MSG_OPEN || kind == RMT_MSG_OFFER || kind == RMT_MSG_CHUNKS ||
               kind == RMT_MSG_WHOLE || kind == RMT_MSG_SEAL) {
        rmt_serve_offered(self, s_caller(self, packet), &packet->msg);
    } else {
        s_refuse(self, packet, RMT_E_NOT_ALLOWED,
                 "a data port does not take this kind of message");
    }
}

// False: the key has too many connections, and this one ends after it was told.
static bool
s_admits(rmt_serve_state_t *self, rmt_packet_t *packet)
{
    const rmt_origin_t *origin = &packet->origin;
    rmt_inflow_heard(self->inflow, origin);
    if (origin->fd == -1 || rmt_connections_require(self->connections, packet->user,
                                                    origin, RMT_SERVE_CONNECTIONS))
        return true;
    s_refuse(self, packet, RMT_E_UNAVAILABLE, TOO_MANY);
    return false;
}

static bool
s_receive(rmt_serve_state_t *self)
{
    for (int i = 0; i < RECEIVE_MAX; i++) {
        rmt_error_t error = {0};
        rmt_packet_t packet = {0};
        const int rc = rmt_socket_recv(self->socket, &packet, &error);
        if (rc == 0)
            return false;
        const bool is_admitted = s_admits(self, &packet);
        if (is_admitted && rc == 1) {
            s_handle(self, &packet);
        } else if (is_admitted) {
            self->stats.refused++;
            rmt_serve_tell(self, "peer.refused", packet.user, error.text);
        }
        rmt_packet_clear(&packet);
    }
    return true;
}

static void
s_purge(rmt_serve_state_t *self)
{
    rmt_auto(zlistx) keys = zhashx_keys(self->callers);
    for (const char *key = zlistx_first(keys); key; key = zlistx_next(keys)) {
        rmt_caller_t *caller = zhashx_lookup(self->callers, key);
        if (caller->is_gone)
            s_remove_caller(self, caller);
    }
}

// The connections of keys that have lost their last grant end here, with their streams,
// and so does a stream whose own grant has ended.
static void
s_end_dropped(rmt_serve_state_t *self)
{
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_REFUSED);
    msg->code = RMT_E_NOT_ALLOWED;
    rmt_msg_text(&msg->text, NO_GRANT);
    for (rmt_caller_t *caller = zhashx_first(self->callers); caller;
         caller = zhashx_next(self->callers)) {
        rmt_error_t ignored = {0};
        const bool is_known = rmt_grants_has(self->grants, caller->user);
        const bool offers = !caller->stream ||
                            rmt_grants_offers(self->grants, caller->user, rmt_clock_ms());
        if (is_known && offers)
            continue;
        (void) rmt_serve_send(self, caller, msg, &ignored);
        rmt_serve_end_stream(self, caller, NO_GRANT);
        caller->is_gone = caller->is_gone || !is_known;
    }
    s_purge(self);
}

// A beat tells the waiting peers that this worker lives, and this worker which peers have
// gone.
static void
s_tick(rmt_serve_state_t *self)
{
    self->events_left = EVENTS_MAX;
    rmt_connections_tick(self->connections);
    rmt_grants_expire(self->grants, rmt_clock_ms());
    s_end_dropped(self);
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    const int64_t now = rmt_clock_ms();
    for (rmt_caller_t *caller = zhashx_first(self->callers); caller;
         caller = zhashx_next(self->callers)) {
        rmt_error_t ignored = {0};
        if (caller->stream || caller->unacked || caller->wished || caller->held)
            (void) rmt_serve_send(self, caller, beat, &ignored);
        else if (now - caller->heard_ms > IDLE_MS)
            caller->is_gone = true;
    }
    s_purge(self);
}

// ---- The thread

typedef struct {
    rmt_records_t *peers;     // Taken by the thread
    rmt_serve_stats_t *stats; // Filled; then it signals
} s_command_t;

// Returns false at the end.
static bool
s_command(rmt_serve_state_t *self)
{
    rmt_auto(zmsg) msg = zmsg_recv(self->pipe);
    zframe_t *frame = msg ? zmsg_first(msg) : NULL;
    if (!frame || zframe_size(frame) != sizeof(s_command_t))
        return false; // $TERM
    s_command_t command;
    memcpy(&command, zframe_data(frame), sizeof(command));
    if (command.stats) {
        *command.stats = self->stats;
        zsock_signal(self->pipe, 0);
        return true;
    }
    rmt_auto(rmt_records) items = command.peers;
    for (size_t i = 0; i < rmt_records_count(items); i++) {
        rmt_error_t error = {0};
        if (rmt_grants_apply(self->grants, rmt_records_at(items, i), rmt_clock_ms(),
                             &error) == -1)
            rmt_serve_tell(self, "peer.refused", "broker", error.text);
    }
    s_end_dropped(self);
    return true;
}

static void
s_drain(rmt_serve_state_t *self)
{
    for (rmt_caller_t *caller = zhashx_first(self->callers); caller;
         caller = zhashx_next(self->callers))
        rmt_serve_drain(self, caller);
}

static void
s_state_destroy(rmt_serve_state_t *self)
{
    zhashx_destroy(&self->callers);
    zpoller_destroy(&self->poller);
    zsock_destroy(&self->socket);
    rmt_connections_destroy(&self->connections);
    rmt_inflow_destroy(&self->inflow);
    rmt_grants_destroy(&self->grants);
    rmt_roots_destroy(&self->roots);
    rmt_store_destroy(&self->store);
    free(self->root);
    free(self->place);
    free(self);
}

static void
s_on_flood(void *context, const char *address, const char *why)
{
    rmt_auto_str text = rmt_text("%s %s", address, why);
    rmt_serve_tell(context, "peer.cut", "", text);
}

static void
s_run(zsock_t *pipe, void *args)
{
    rmt_serve_state_t *self = args; // Taken: ends with this thread
    self->pipe = pipe;
    zsock_t *const roots = self->roots ? rmt_roots_socket(self->roots) : NULL;
    self->poller = zpoller_new(pipe, NULL);
    if (roots)
        zpoller_add(self->poller, roots);
    zpoller_add(self->poller, self->socket);
    zpoller_set_nonstop(self->poller, true);
    zsock_signal(pipe, 0);
    int timeout_ms = 0;
    int64_t tick_ms = 0;
    while (true) {
        // The first that is ready, in the order of the poller; asking each again would
        // cost as much as a message.
        const void *ready = zpoller_wait(self->poller, timeout_ms);
        if (ready == pipe && !s_command(self))
            break;
        if (roots && ready == roots)
            rmt_roots_take(self->roots);
        s_drain(self);
        const bool more = s_receive(self);
        const rmt_pump_t pump = rmt_serve_pump(self);
        s_purge(self);
        // After all that has come was heard, however long the store took before.
        const int look_ms = rmt_inflow_tick(self->inflow, rmt_clock_ms());
        timeout_ms = more || pump == RMT_PUMP_MORE ? 0
                     : pump == RMT_PUMP_FULL       ? QUEUE_FULL_MS
                                                   : look_ms;
        if (rmt_clock_ms() - tick_ms >= TICK_MS) {
            s_tick(self);
            tick_ms = rmt_clock_ms();
        }
    }
    s_state_destroy(self);
}

// ---- The owner

static int
s_open_store(const rmt_serve_config_t *config, rmt_store_t **store_out,
             rmt_roots_t **roots_out, rmt_error_t *error)
{
    *store_out = rmt_store_new(config->store, false, error);
    if (!*store_out)
        return -1;
    *roots_out = rmt_roots_new(config->store, error);
    return *roots_out ? 0 : -1;
}

rmt_serve_t *
rmt_serve_new(const rmt_serve_config_t *config, rmt_error_t *error)
{
    assert(config->zap);
    assert(config->window <= RMT_SERVE_WINDOW);
    rmt_auto(rmt_store) store = NULL;
    rmt_auto(rmt_roots) roots = NULL;
    if (!config->ring && s_open_store(config, &store, &roots, error) == -1)
        return NULL;
    const uint32_t handshake_ms =
        config->handshake_ms ? config->handshake_ms : RMT_HANDSHAKE_MS;
    rmt_auto(zsock) socket = rmt_socket_new_server(
        RMT_SOCKET_DATA_SERVER, config->endpoint, config->own, handshake_ms, error);
    if (!socket)
        return NULL;
    rmt_serve_state_t *state = calloc(1, sizeof(*state));
    rmt_serve_t *self = calloc(1, sizeof(*self));
    assert(state);
    assert(self);
    self->port = rmt_socket_port(socket);
    state->socket = rmt_take(&socket);
    state->connections = rmt_connections_new();
    state->inflow = rmt_inflow_new(s_on_flood, state);
    rmt_inflow_add(state->inflow, self->port, RMT_SOCKET_DATA_SERVER);
    state->store = rmt_take(&store);
    state->roots = rmt_take(&roots);
    state->grants = rmt_grants_new(config->zap);
    state->ring = config->ring;
    state->root = rmt_text("%s", config->store ? config->store : "");
    state->place = rmt_text("%s", config->place ? config->place : "this place");
    state->receives = config->receives && !config->ring;
    state->window = config->window ? config->window : RMT_SERVE_WINDOW;
    state->event = config->event;
    state->context = config->context;
    state->events_left = EVENTS_MAX;
    state->callers = zhashx_new();
    zhashx_set_destructor(state->callers, s_caller_free);
    self->actor = zactor_new(s_run, state);
    assert(self->actor);
    return self;
}

void
rmt_serve_destroy(rmt_serve_t **self_p)
{
    assert(self_p);
    rmt_serve_t *self = rmt_take(self_p);
    if (!self)
        return;
    zactor_destroy(&self->actor);
    free(self);
}

uint16_t
rmt_serve_port(const rmt_serve_t *self)
{
    return self->port;
}

void
rmt_serve_peers(rmt_serve_t *self, const rmt_records_t *items)
{
    const s_command_t command = {.peers = rmt_records_dup(items)};
    zsock_send(self->actor, "b", &command, sizeof(command));
}

void
rmt_serve_stats(rmt_serve_t *self, rmt_serve_stats_t *stats_out)
{
    const s_command_t command = {.stats = stats_out};
    zsock_send(self->actor, "b", &command, sizeof(command));
    zsock_wait(self->actor);
}
