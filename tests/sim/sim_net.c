#include "sim/sim_net.h"

#include <assert.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "sim/sim_check.h"
#include "sim/sim_wraps.h"
#include "sim/sim_zap.h"
#include "wire/rmt_codec.h"

#define RETRY_MIN (500 * SIM_MS) // As ZMQ_RECONNECT_IVL has it
#define RETRY_MAX (2000 * SIM_MS)
#define ROUTE_SIZE sizeof(uint32_t)
#define OLD_TASKS 16

typedef struct {
    rmt_socket_kind_t kind;
    sim_process_t *owner;
    rmt_zap_t *zap; // Of a server's process
    char endpoint[64];
    zlistx_t *inbox; // packet_t
    bool is_refused; // What a watcher tells
} socket_t;

typedef struct {
    zframe_t *envelope;
    uint32_t route;
    char user[RMT_USER_SIZE];
} packet_t;

typedef struct {
    socket_t *client, *server; // NULL: gone, not there yet
    char endpoint[64], user[RMT_USER_SIZE];
    uint64_t generation;          // Rises with each cut: what is under way is lost
    uint32_t route;               // 0: not connected
    zlist_t *waiting;             // Envelopes until it is connected
    int64_t last[2];              // When the last message of a direction arrives
    int64_t held[2];              // Until when the first one of a direction is put off
    uint64_t sent[2], arrived[2]; // Numbers of messages of a direction
} link_t;

typedef struct {
    link_t *link;
    uint64_t generation;
    uint64_t number; // Of its direction
    bool is_to_server;
    zframe_t *envelope;
} flight_t;

static struct {
    zlist_t *sockets, *links;
    uint32_t routes;
    int64_t delay_max;
    struct {
        sim_process_t *process;
        zframe_t *envelope;
    } old[OLD_TASKS];
    sim_event_heard_fn *on_event;
} s_net;

static void s_connect(link_t *link, int64_t delay);

// ---- Links

static void
s_packet_destroy(void **item_p)
{
    packet_t *packet = *item_p;
    zframe_destroy(&packet->envelope);
    free(packet);
    *item_p = NULL;
}

static void
s_drop_waiting(link_t *link)
{
    zframe_t *frame;
    while ((frame = zlist_pop(link->waiting)))
        zframe_destroy(&frame);
}

static void
s_cut(link_t *link)
{
    link->generation++;
    link->route = 0;
    link->server = NULL;
    if (link->client)
        s_connect(link, sim_between(RETRY_MIN, RETRY_MAX));
}

static int64_t
s_blocked_until(const link_t *link)
{
    int64_t until = 0;
    const socket_t *const ends[] = {link->client, link->server};
    for (size_t i = 0; i < 2; i++)
        if (ends[i] && ends[i]->owner->blocked_until > until)
            until = ends[i]->owner->blocked_until;
    return until > sim_now() ? until : 0;
}

// A connection keeps the order of its messages: what comes behind one that was put off
// waits as well, also when the block has ended before its time.
static int64_t
s_held_until(link_t *link, bool is_to_server)
{
    int64_t *held = &link->held[is_to_server];
    const int64_t blocked = s_blocked_until(link);
    *held = blocked > *held ? blocked : *held;
    return *held > sim_now() ? *held : 0;
}

static void
s_arrive(void *context, bool is_void)
{
    flight_t *flight = context;
    link_t *link = flight->link;
    socket_t *to = flight->is_to_server ? link->server : link->client;
    const int64_t until = is_void ? 0 : s_held_until(link, flight->is_to_server);
    if (until > 0) {
        sim_put_off(until);
        return;
    }
    uint64_t *arrived = &link->arrived[flight->is_to_server];
    if (!is_void && flight->number < *arrived)
        sim_check_fail("a message of %s overtakes another one", link->user);
    *arrived = flight->number;
    if (!is_void && to && link->route != 0 && flight->generation == link->generation) {
        packet_t *packet = zmalloc(sizeof *packet);
        packet->envelope = rmt_take(&flight->envelope);
        packet->route = link->route;
        snprintf(packet->user, sizeof packet->user, "%s", link->user);
        sim_note(to->owner->name, zframe_data(packet->envelope),
                 zframe_size(packet->envelope));
        zlistx_add_end(to->inbox, packet);
        sim_process_wake(to->owner, 0);
    }
    zframe_destroy(&flight->envelope);
    free(flight);
}

// Takes the envelope.
static void
s_send(link_t *link, bool is_to_server, zframe_t *envelope)
{
    flight_t *flight = zmalloc(sizeof *flight);
    *flight = (flight_t){.link = link,
                         .generation = link->generation,
                         .number = ++link->sent[is_to_server],
                         .is_to_server = is_to_server,
                         .envelope = envelope};
    int64_t *last = &link->last[is_to_server];
    const int64_t at = sim_now() + sim_between(100, s_net.delay_max);
    *last = at > *last ? at : *last;
    sim_after(*last - sim_now(), NULL, s_arrive, flight);
}

static socket_t *
s_find_server(const char *endpoint)
{
    for (socket_t *socket = zlist_first(s_net.sockets); socket;
         socket = zlist_next(s_net.sockets))
        if (rmt_socket_domain(socket->kind) && streq(socket->endpoint, endpoint))
            return socket;
    return NULL;
}

// False: not now; the client tries again.
static bool
s_shake_hands(link_t *link, socket_t *server)
{
    if (sim_zap_admits(server->zap, rmt_socket_domain(server->kind), link->user))
        return true;
    link->client->is_refused = sim_zap_is_closed(server->zap);
    return false;
}

typedef struct {
    link_t *link;
    uint64_t generation;
} greeting_t;

static void
s_on_connect(void *context, bool is_void)
{
    greeting_t *greeting = context;
    link_t *link = greeting->link;
    const bool is_wanted =
        !is_void && link->client && greeting->generation == link->generation;
    free(greeting);
    if (!is_wanted)
        return;
    socket_t *server = s_find_server(link->endpoint);
    const bool is_open = server && server->owner->blocked_until <= sim_now() &&
                         link->client->owner->blocked_until <= sim_now();
    if (!is_open || !s_shake_hands(link, server)) {
        s_connect(link, sim_between(RETRY_MIN, RETRY_MAX));
        return;
    }
    link->server = server;
    link->route = ++s_net.routes;
    zframe_t *envelope;
    while ((envelope = zlist_pop(link->waiting)))
        s_send(link, true, envelope);
}

static void
s_connect(link_t *link, int64_t delay)
{
    greeting_t *greeting = zmalloc(sizeof *greeting);
    *greeting = (greeting_t){link, link->generation};
    sim_after(delay, NULL, s_on_connect, greeting);
}

static link_t *
s_link_of(const socket_t *client)
{
    for (link_t *link = zlist_first(s_net.links); link; link = zlist_next(s_net.links))
        if (link->client == client)
            return link;
    return NULL;
}

static link_t *
s_link_by_route(const socket_t *server, const zframe_t *route)
{
    uint32_t number = 0;
    memcpy(&number, zframe_data((zframe_t *) (uintptr_t) route), ROUTE_SIZE);
    for (link_t *link = zlist_first(s_net.links); link; link = zlist_next(s_net.links))
        if (link->server == server && link->route == number)
            return link;
    return NULL;
}

// ---- Sockets

static socket_t *
s_socket(zsock_t *handle)
{
    return (socket_t *) (void *) handle;
}

const char *
rmt_socket_domain(rmt_socket_kind_t kind)
{
    static const char *const domains[RMT_SOCKET_KIND_COUNT] = {
        [RMT_SOCKET_BROKER_ENROL] = "enrol",     [RMT_SOCKET_BROKER_AGENTS] = "agents",
        [RMT_SOCKET_BROKER_WORKERS] = "workers", [RMT_SOCKET_BROKER_CONSOLE] = "console",
        [RMT_SOCKET_BROKER_EVENTS] = "events",   [RMT_SOCKET_DATA_SERVER] = "data",
    };
    return domains[kind];
}

static void
s_begin(void)
{
    if (!s_net.sockets) {
        s_net.sockets = zlist_new();
        s_net.links = zlist_new();
    }
}

size_t
rmt_socket_message_max(rmt_socket_kind_t kind)
{
    (void) kind;
    return SIZE_MAX / 2;
}

size_t
rmt_socket_queue_max(rmt_socket_kind_t kind)
{
    (void) kind;
    return SIZE_MAX;
}

zsock_t *
rmt_socket_new(rmt_socket_kind_t kind, const char *endpoint, const rmt_key_t *own,
               const char *server_key, rmt_error_t *error)
{
    (void) error;
    (void) server_key;
    s_begin();
    socket_t *self = zmalloc(sizeof *self);
    self->kind = kind;
    self->owner = sim_process_self();
    self->inbox = zlistx_new();
    zlistx_set_destructor(self->inbox, s_packet_destroy);
    snprintf(self->endpoint, sizeof self->endpoint, "%s", endpoint);
    zlist_append(s_net.sockets, self);
    if (rmt_socket_domain(kind)) {
        self->zap = sim_zap_last();
        return (zsock_t *) (void *) self;
    }
    link_t *link = zmalloc(sizeof *link);
    link->client = self;
    link->waiting = zlist_new();
    snprintf(link->endpoint, sizeof link->endpoint, "%s", endpoint);
    snprintf(link->user, sizeof link->user, "%s", own->public_text);
    zlist_append(s_net.links, link);
    s_connect(link, sim_between(100, s_net.delay_max));
    return (zsock_t *) (void *) self;
}

zsock_t *
rmt_socket_new_server(rmt_socket_kind_t kind, const char *endpoint, const rmt_key_t *own,
                      uint32_t handshake_ms, rmt_error_t *error)
{
    (void) handshake_ms;
    return rmt_socket_new(kind, endpoint, own, NULL, error);
}

zsock_t *
rmt_socket_new_watched(rmt_socket_kind_t kind, const char *endpoint, const rmt_key_t *own,
                       const char *server_key, zsock_t **watcher_out, rmt_error_t *error)
{
    zsock_t *socket = rmt_socket_new(kind, endpoint, own, server_key, error);
    *watcher_out = socket; // One thing here
    return socket;
}

int
rmt_socket_watch(zsock_t *watcher, const char *server, rmt_error_t *error)
{
    socket_t *self = s_socket(watcher);
    if (!self->is_refused)
        return 0;
    self->is_refused = false;
    return rmt_fail(error, RMT_E_NOT_ALLOWED, "the broker at %s refuses this key",
                    server);
}

static void
s_on_close(void *context, bool is_void)
{
    link_t *link = context;
    if (!is_void && link->route != 0)
        s_cut(link);
}

// What is under way when a client's socket closes arrives before the server sees the end.
static void
s_close(link_t *link)
{
    link->client = NULL;
    s_drop_waiting(link);
    const int64_t at = sim_now() + sim_between(100, s_net.delay_max);
    const int64_t last = link->last[true] > at ? link->last[true] : at;
    sim_after(last - sim_now(), NULL, s_on_close, link);
}

void
__wrap_zsock_destroy_checked(zsock_t **socket_p, const char *file, size_t line)
{
    (void) file;
    (void) line;
    socket_t *self = s_socket(rmt_take(socket_p));
    if (!self)
        return;
    for (link_t *link = zlist_first(s_net.links); link; link = zlist_next(s_net.links)) {
        if (link->client == self)
            s_close(link);
        if (link->server == self)
            s_cut(link);
    }
    zlist_remove(s_net.sockets, self);
    zlistx_destroy(&self->inbox);
    free(self);
}

void
rmt_socket_close_watched(zsock_t **socket_p, zsock_t **watcher_p)
{
    *watcher_p = NULL;
    zsock_destroy(socket_p);
}

static void
s_remember(sim_process_t *process, const rmt_msg_t *msg, zframe_t *envelope)
{
    if (msg->kind != RMT_MSG_TASK || !sim_chance(500))
        return;
    const size_t at = sim_random() % OLD_TASKS;
    zframe_destroy(&s_net.old[at].envelope);
    s_net.old[at].process = process;
    s_net.old[at].envelope = zframe_dup(envelope);
}

int
rmt_socket_send(zsock_t *socket, zframe_t *route, const rmt_msg_t *msg, bool wait,
                rmt_error_t *error)
{
    (void) wait;
    socket_t *self = s_socket(socket);
    if (self->kind == RMT_SOCKET_BROKER_EVENTS) {
        if (s_net.on_event && self->owner->is_up)
            s_net.on_event(self->owner, msg);
        return 0;
    }
    link_t *link = route ? s_link_by_route(self, route) : s_link_of(self);
    if (!link)
        return rmt_fail(error, RMT_E_NOT_FOUND, "the peer has closed its connection");
    if (!self->owner->is_up)
        return 0; // It dies: nothing leaves it any more
    rmt_auto(zframe) envelope = rmt_codec_encode(msg);
    if (zframe_size(envelope) > RMT_CONTROL_SIZE_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG, "too big");
    if (route && link->client)
        s_remember(link->client->owner, msg, envelope);
    if (!route && link->route == 0)
        zlist_append(link->waiting, rmt_take(&envelope));
    else
        s_send(link, !route, rmt_take(&envelope));
    return 0;
}

// Nothing bounds what is under way here.
int
rmt_socket_reply(zsock_t *socket, zframe_t *route, const rmt_msg_t *msg,
                 rmt_unsent_t *unsent, rmt_error_t *error)
{
    (void) unsent;
    return rmt_socket_send(socket, route, msg, false, error);
}

void
rmt_packet_clear(rmt_packet_t *packet)
{
    zframe_destroy(&packet->route);
    rmt_msg_destroy(&packet->msg);
    packet->user[0] = '\0';
}

int
rmt_socket_recv(zsock_t *socket, rmt_packet_t *packet, rmt_error_t *error)
{
    socket_t *self = s_socket(socket);
    rmt_packet_clear(packet);
    packet_t *next = zlistx_detach(self->inbox, NULL);
    if (!next)
        return 0;
    if (rmt_socket_domain(self->kind)) {
        packet->route = zframe_new(&next->route, ROUTE_SIZE);
        snprintf(packet->user, sizeof packet->user, "%s", next->user);
    }
    packet->origin.fd = -1;
    packet->size = zframe_size(next->envelope);
    packet->msg =
        rmt_codec_decode(zframe_data(next->envelope), zframe_size(next->envelope), error);
    void *item = next;
    s_packet_destroy(&item);
    return packet->msg ? 1 : -1;
}

// Nothing subscribes; what is published is looked at by the checks.
bool
rmt_socket_recv_subscription(zsock_t *socket, rmt_subscription_t *subscription)
{
    (void) socket;
    (void) subscription;
    return false;
}

// ---- Faults

void
sim_net_set_delay(int64_t delay_max)
{
    s_net.delay_max = delay_max;
}

void
sim_net_cut(const sim_process_t *process)
{
    for (link_t *link = zlist_first(s_net.links); link; link = zlist_next(s_net.links))
        if (link->route != 0 && ((link->client && link->client->owner == process) ||
                                 (link->server && link->server->owner == process)))
            s_cut(link);
}

void
sim_net_block(sim_process_t *process, int64_t time)
{
    process->blocked_until = sim_now() + time;
}

bool
sim_net_replay(sim_process_t *process)
{
    const size_t first = sim_random() % OLD_TASKS;
    for (size_t i = 0; i < OLD_TASKS; i++) {
        const size_t at = (first + i) % OLD_TASKS;
        if (s_net.old[at].process != process)
            continue;
        for (link_t *link = zlist_first(s_net.links); link;
             link = zlist_next(s_net.links))
            if (link->client && link->client->owner == process && link->route != 0) {
                s_send(link, false, zframe_dup(s_net.old[at].envelope));
                return true;
            }
    }
    return false;
}

void
sim_net_on_event(sim_event_heard_fn *fn)
{
    s_net.on_event = fn;
}

void
sim_net_end(void)
{
    s_begin();
    assert(zlist_size(s_net.sockets) == 0);
    link_t *link;
    while ((link = zlist_pop(s_net.links))) {
        s_drop_waiting(link);
        zlist_destroy(&link->waiting);
        free(link);
    }
    for (size_t i = 0; i < OLD_TASKS; i++) {
        zframe_destroy(&s_net.old[i].envelope);
        s_net.old[i].process = NULL;
    }
    s_net.routes = 0;
}
