#include "net/rmt_socket.h"
#include "facts/rmt_endpoint.h"
#include "base/rmt_auto.h"
#include "wire/rmt_codec.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

// Debian's zmq.h hides this option as a draft; the library has it. Without it, CURVE
// accepts any key when no thread answers ZAP.
#define OPTION_ZAP_ENFORCE_DOMAIN 93
// CURVE adds a header and an authenticator to each frame.
#define SEAL_SIZE 1024
// A peer gives a broker up before libzmq does (WELCOME_MS_MAX of rmt_peer.c).
#define HANDSHAKE_MS 20000
#define PARTS_MAX 3 // Route or topic, envelope, bytes

typedef struct {
    int type;
    const char *domain;  // NULL: connects
    size_t size_max;     // Of one frame
    int in_max, out_max; // Messages that wait to be read or sent, for each connection
    int backlog;
} kind_t;

#define CONTROL_SIZE (RMT_CONTROL_SIZE_MAX + SEAL_SIZE)
#define DATA_SIZE (RMT_DATA_SIZE_MAX + SEAL_SIZE)
// Any key may write to the enrol port, and a subscriber sends topics alone.
#define ENROL_SIZE ((size_t) 64 * 1024)
#define TOPIC_SIZE ((size_t) 1024)

// libzmq bounds the messages of a queue and not their octets: where a message may be
// long, few wait to be read. What waits to be sent has a bound of octets as well
// (rmt_unsent).
static const kind_t s_kinds[RMT_SOCKET_KIND_COUNT] = {
    [RMT_SOCKET_BROKER_ENROL] = {ZMQ_ROUTER, "enrol", ENROL_SIZE, 4, 16, 1024},
    [RMT_SOCKET_BROKER_AGENTS] = {ZMQ_ROUTER, "agents", CONTROL_SIZE, 16, 256, 4096},
    [RMT_SOCKET_BROKER_WORKERS] = {ZMQ_ROUTER, "workers", CONTROL_SIZE, 64, 1000, 1024},
    [RMT_SOCKET_BROKER_CONSOLE] = {ZMQ_ROUTER, "console", CONTROL_SIZE, 16, 1000, 1024},
    [RMT_SOCKET_BROKER_EVENTS] = {ZMQ_XPUB, "events", TOPIC_SIZE, 16, 1000, 1024},
    [RMT_SOCKET_DATA_SERVER] = {ZMQ_ROUTER, "data", DATA_SIZE, 8, 4096, 1024},
    [RMT_SOCKET_CONTROL_CLIENT] = {ZMQ_DEALER, NULL, CONTROL_SIZE, 1000, 1000, 0},
    [RMT_SOCKET_CONSOLE_CLIENT] = {ZMQ_DEALER, NULL, CONTROL_SIZE, 1000, 1000, 0},
    [RMT_SOCKET_DATA_CLIENT] = {ZMQ_DEALER, NULL, DATA_SIZE, 4096, 4096, 0},
    [RMT_SOCKET_EVENTS_CLIENT] = {ZMQ_SUB, NULL, CONTROL_SIZE, 10000, 10000, 0},
};

const char *
rmt_socket_domain(rmt_socket_kind_t kind)
{
    assert(kind < RMT_SOCKET_KIND_COUNT);
    return s_kinds[kind].domain;
}

size_t
rmt_socket_message_max(rmt_socket_kind_t kind)
{
    assert(kind < RMT_SOCKET_KIND_COUNT);
    return s_kinds[kind].size_max;
}

size_t
rmt_socket_queue_max(rmt_socket_kind_t kind)
{
    assert(kind < RMT_SOCKET_KIND_COUNT);
    return ((size_t) s_kinds[kind].in_max + 1) * s_kinds[kind].size_max;
}

// ---- Making

typedef struct {
    int option, value;
} setting_t;

static void
s_set(void *handle, int option, int value)
{
    // All options and values are ours, so a refusal is a mistake in this file.
    const int rc = zmq_setsockopt(handle, option, &value, sizeof value);
    assert(rc == 0);
}

static void
s_set_common(void *handle, const kind_t *kind)
{
    // No ZMTP heartbeats: with a finite receive queue they abort libzmq 4.3.4.
    const setting_t settings[] = {
        {ZMQ_LINGER, 0},
        {ZMQ_SNDHWM, kind->out_max},
        {ZMQ_RCVHWM, kind->in_max},
        {ZMQ_TCP_KEEPALIVE, 1},
        {ZMQ_TCP_KEEPALIVE_IDLE, 30},
        {ZMQ_TCP_KEEPALIVE_INTVL, 10},
        {ZMQ_TCP_KEEPALIVE_CNT, 3},
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        s_set(handle, settings[i].option, settings[i].value);
    const int64_t size_max = (int64_t) kind->size_max;
    const int rc = zmq_setsockopt(handle, ZMQ_MAXMSGSIZE, &size_max, sizeof size_max);
    assert(rc == 0);
}

static void
s_set_server(void *handle, const kind_t *kind, uint32_t handshake_ms)
{
    s_set(handle, ZMQ_HANDSHAKE_IVL, (int) handshake_ms);
    s_set(handle, ZMQ_BACKLOG, kind->backlog);
    s_set(handle, ZMQ_CURVE_SERVER, 1);
    if (kind->type == ZMQ_ROUTER)
        s_set(handle, ZMQ_ROUTER_MANDATORY, 1);
    else
        s_set(handle, ZMQ_XPUB_VERBOSER, 1); // Each subscription is seen, also a repeat
    int rc = zmq_setsockopt(handle, ZMQ_ZAP_DOMAIN, kind->domain, strlen(kind->domain));
    assert(rc == 0);
    const int enforce = 1;
    rc = zmq_setsockopt(handle, OPTION_ZAP_ENFORCE_DOMAIN, &enforce, sizeof enforce);
    assert(rc == 0);
}

static void
s_set_client(void *handle)
{
    s_set(handle, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
    s_set(handle, ZMQ_RECONNECT_IVL, 500);
    s_set(handle, ZMQ_RECONNECT_IVL_MAX, 2000);
}

static int
s_set_key(void *handle, int option, const char *text, rmt_error_t *error)
{
    if (strlen(text) == RMT_USER_SIZE - 1 &&
        zmq_setsockopt(handle, option, text, RMT_USER_SIZE) == 0)
        return 0;
    return rmt_fail(error, RMT_E_USAGE, "a key is not 40 characters of Z85");
}

static int
s_set_keys(void *handle, const rmt_key_t *own, const char *server_key, rmt_error_t *error)
{
    if (s_set_key(handle, ZMQ_CURVE_SECRETKEY, own->secret_text, error) == -1)
        return -1;
    if (!server_key)
        return 0;
    if (s_set_key(handle, ZMQ_CURVE_PUBLICKEY, own->public_text, error) == -1)
        return -1;
    return s_set_key(handle, ZMQ_CURVE_SERVERKEY, server_key, error);
}

// Accepts "*" and 0 as port, which the rules for addresses of peers do not.
static int
s_attach(void *handle, const kind_t *kind, const char *text, rmt_error_t *error)
{
    const char *bare = strncmp(text, "tcp://", 6) == 0 ? text + 6 : text;
    char address[RMT_ENDPOINT_HOST_SIZE + 8];
    char host[RMT_ENDPOINT_HOST_SIZE];
    uint16_t port = 0;
    const size_t size = strlen(bare);
    const bool any = kind->domain && size > 2 && streq(bare + size - 2, ":*");
    snprintf(address, sizeof address, any ? "%.*s:0" : "%.*s", any ? (int) size - 2 : 260,
             bare);
    if (rmt_endpoint_split(address, host, &port, error) == -1)
        return -1;
    if (!kind->domain && (port == 0 || streq(host, "*") || streq(host, "@")))
        return rmt_fail(
            error, RMT_E_USAGE,
            "%.64s is not an address that a peer can connect to; write a host and a port",
            text);
    // Names stay with IPv4: libzmq would take an IPv6 address alone otherwise.
    s_set(handle, ZMQ_IPV6, host[0] == '[' || streq(host, "*"));
    char endpoint[sizeof address + 8];
    if (port)
        snprintf(endpoint, sizeof endpoint, "tcp://%s:%u", host, (unsigned) port);
    else
        snprintf(endpoint, sizeof endpoint, "tcp://%s:*", host);
    const int rc =
        kind->domain ? zmq_bind(handle, endpoint) : zmq_connect(handle, endpoint);
    if (rc == -1)
        return rmt_fail(error, RMT_E_IO, "%s %s: %s", kind->domain ? "bind" : "connect",
                        endpoint, zmq_strerror(errno));
    return 0;
}

// All but the place in the network. handshake_ms: of a server. NULL: USAGE, IO.
static zsock_t *
s_make(const kind_t *kind, const rmt_key_t *own, const char *server_key,
       uint32_t handshake_ms, rmt_error_t *error)
{
    assert((kind->domain == NULL) == (server_key != NULL));
    rmt_auto(zsock) socket = zsock_new(kind->type);
    if (!socket) {
        rmt_fail_errno(error, "socket");
        return NULL;
    }
    void *handle = zsock_resolve(socket);
    s_set_common(handle, kind);
    if (kind->domain)
        s_set_server(handle, kind, handshake_ms);
    else
        s_set_client(handle);
    if (s_set_keys(handle, own, server_key, error) == -1)
        return NULL;
    return rmt_take(&socket);
}

static zsock_t *
s_new(rmt_socket_kind_t kind, const char *endpoint, const rmt_key_t *own,
      const char *server_key, uint32_t handshake_ms, rmt_error_t *error)
{
    assert(kind < RMT_SOCKET_KIND_COUNT && endpoint && own && error);
    rmt_auto(zsock) socket = s_make(&s_kinds[kind], own, server_key, handshake_ms, error);
    if (!socket || s_attach(zsock_resolve(socket), &s_kinds[kind], endpoint, error) == -1)
        return NULL;
    return rmt_take(&socket);
}

zsock_t *
rmt_socket_new(rmt_socket_kind_t kind, const char *endpoint, const rmt_key_t *own,
               const char *server_key, rmt_error_t *error)
{
    return s_new(kind, endpoint, own, server_key, RMT_HANDSHAKE_MS, error);
}

zsock_t *
rmt_socket_new_server(rmt_socket_kind_t kind, const char *endpoint, const rmt_key_t *own,
                      uint32_t handshake_ms, rmt_error_t *error)
{
    assert(handshake_ms >= RMT_HANDSHAKE_MS_MIN && handshake_ms <= RMT_HANDSHAKE_MS_MAX);
    return s_new(kind, endpoint, own, NULL, handshake_ms, error);
}

zsock_t *
rmt_socket_new_watched(rmt_socket_kind_t kind, const char *endpoint, const rmt_key_t *own,
                       const char *server_key, zsock_t **watcher_out, rmt_error_t *error)
{
    assert(kind < RMT_SOCKET_KIND_COUNT && endpoint && own && server_key);
    assert(watcher_out && error);
    rmt_auto(zsock) socket = s_make(&s_kinds[kind], own, server_key, 0, error);
    if (!socket)
        return NULL;
    // libzmq frees a name some time after its socket is closed, so each is used once.
    static atomic_uint s_count = 0;
    char name[64];
    snprintf(name, sizeof name, "inproc://rmt_socket-%u", atomic_fetch_add(&s_count, 1));
    void *handle = zsock_resolve(socket);
    // Before it connects: a refusal may come before the next line runs.
    zsock_t *watcher = zsock_new(ZMQ_PAIR);
    if (watcher)
        zsock_set_rcvhwm(watcher, 0); // The thread of libzmq waits where a queue is full
    int rc = 0;
    const int events = ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                       ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                       (kind == RMT_SOCKET_DATA_CLIENT ? ZMQ_EVENT_DISCONNECTED : 0);
    if (!watcher || zmq_socket_monitor(handle, name, events) == -1 ||
        zsock_connect(watcher, "%s", name) == -1)
        rc = rmt_fail_errno(error, "watch a socket");
    if (rc == -1 || s_attach(handle, &s_kinds[kind], endpoint, error) == -1)
        rmt_socket_close_watched(&socket, &watcher);
    *watcher_out = watcher;
    return rmt_take(&socket);
}

void
rmt_socket_close_watched(zsock_t **socket_p, zsock_t **watcher_p)
{
    assert(socket_p && watcher_p);
    if (*socket_p)
        (void) zmq_socket_monitor(zsock_resolve(*socket_p), NULL, 0);
    zsock_destroy(watcher_p);
    zsock_destroy(socket_p);
}

// All events of which a watcher has told since it was asked last.
static unsigned
s_read_events(zsock_t *watcher)
{
    unsigned seen = 0;
    while (zsock_events(watcher) & ZMQ_POLLIN) {
        rmt_auto(zmsg) news = zmsg_recv(watcher);
        zframe_t *first = news ? zmsg_first(news) : NULL;
        uint16_t event = 0;
        if (first && zframe_size(first) >= sizeof event)
            memcpy(&event, zframe_data(first), sizeof event);
        seen |= event;
    }
    return seen;
}

int
rmt_socket_watch(zsock_t *watcher, const char *server, rmt_error_t *error)
{
    assert(watcher && server && error);
    const unsigned seen = s_read_events(watcher);
    if (seen & ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
        return rmt_fail(error, RMT_E_NOT_ALLOWED, "the broker at %s refuses this key",
                        server);
    // A server that has another key than we expect cannot decrypt our first message, and
    // closes the connection.
    if (seen & ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL)
        return rmt_fail(error, RMT_E_CONFIG,
                        "the program at %s is not a broker, its public key differs from "
                        "the one that is set here, or it is still starting",
                        server);
    if (seen & ZMQ_EVENT_DISCONNECTED)
        return rmt_fail(error, RMT_E_UNAVAILABLE, "the connection to %s was lost",
                        server);
    return 0;
}

uint16_t
rmt_socket_port(zsock_t *socket)
{
    char endpoint[RMT_ENDPOINT_HOST_SIZE + 16] = "";
    size_t size = sizeof endpoint;
    const int rc =
        zmq_getsockopt(zsock_resolve(socket), ZMQ_LAST_ENDPOINT, endpoint, &size);
    const char *colon = strrchr(endpoint, ':');
    assert(rc == 0 && colon);
    return (uint16_t) strtoul(colon + 1, NULL, 10);
}

// ---- Sending

static int
s_type(zsock_t *socket)
{
    int type = 0;
    size_t size = sizeof type;
    const int rc = zmq_getsockopt(zsock_resolve(socket), ZMQ_TYPE, &type, &size);
    assert(rc == 0);
    return type;
}

static int
s_fail_to_send(rmt_error_t *error)
{
    if (errno == EHOSTUNREACH)
        return rmt_fail(error, RMT_E_NOT_FOUND, "the peer has closed its connection");
    if (errno == EAGAIN || errno == EINTR)
        return rmt_fail(error, RMT_E_UNAVAILABLE, "the peer's queue is full");
    return rmt_fail(error, RMT_E_UNAVAILABLE, "send: %s", zmq_strerror(errno));
}

// The frame stays the caller's.
static int
s_send_frame(zsock_t *socket, zframe_t *frame, int flags, rmt_error_t *error)
{
    return zframe_send(&frame, socket, ZFRAME_REUSE | flags) == 0 ? 0
                                                                  : s_fail_to_send(error);
}

// NULL: TOO_BIG. Caller owns the result.
static zframe_t *
s_encode(const rmt_msg_t *msg, rmt_error_t *error)
{
    rmt_auto(zframe) envelope = rmt_codec_encode(msg);
    if (zframe_size(envelope) <= RMT_CONTROL_SIZE_MAX)
        return rmt_take(&envelope);
    rmt_fail(error, RMT_E_TOO_BIG, "%s of %zu bytes, limit %zu",
             rmt_msg_kind_name(msg->kind), zframe_size(envelope), RMT_CONTROL_SIZE_MAX);
    return NULL;
}

int
rmt_socket_send(zsock_t *socket, zframe_t *route, const rmt_msg_t *msg, bool wait,
                rmt_error_t *error)
{
    assert(socket && msg && error);
    const int type = s_type(socket);
    assert((type == ZMQ_ROUTER) == (route != NULL));
    const int flags = wait ? 0 : ZFRAME_DONTWAIT;
    rmt_auto(zframe) envelope = s_encode(msg, error);
    if (!envelope)
        return -1;
    if (route && s_send_frame(socket, route, flags | ZFRAME_MORE, error) == -1)
        return -1;
    if (type == ZMQ_XPUB) {
        const char *text = msg->topic ? msg->topic : "";
        rmt_auto(zframe) topic = zframe_new(text, strlen(text));
        if (s_send_frame(socket, topic, flags | ZFRAME_MORE, error) == -1)
            return -1;
    }
    const int more = msg->payload ? ZFRAME_MORE : 0;
    if (s_send_frame(socket, envelope, flags | more, error) == -1)
        return -1;
    return msg->payload ? s_send_frame(socket, msg->payload, flags, error) : 0;
}

int
rmt_socket_reply(zsock_t *socket, zframe_t *route, const rmt_msg_t *msg,
                 rmt_unsent_t *unsent, rmt_error_t *error)
{
    assert(socket && route && msg && unsent && error);
    rmt_auto(zframe) envelope = s_encode(msg, error);
    if (!envelope ||
        s_send_frame(socket, route, ZFRAME_DONTWAIT | ZFRAME_MORE, error) == -1)
        return -1;
    zmq_msg_t message;
    rmt_unsent_wrap(unsent, &envelope, &message);
    if (zmq_msg_send(&message, zsock_resolve(socket), ZMQ_DONTWAIT) != -1)
        return 0;
    const int rc = s_fail_to_send(error);
    (void) zmq_msg_close(&message);
    return rc;
}

// ---- Receiving

void
rmt_packet_clear(rmt_packet_t *packet)
{
    assert(packet);
    zframe_destroy(&packet->route);
    rmt_msg_destroy(&packet->msg);
    packet->user[0] = '\0';
    packet->origin.fd = -1;
    packet->size = 0;
}

typedef struct {
    zframe_t *frames[PARTS_MAX];
    size_t count; // Of all parts, also of those that were dropped
} parts_t;

static void
s_free_parts(parts_t *parts)
{
    for (size_t i = 0; i < PARTS_MAX; i++)
        zframe_destroy(&parts->frames[i]);
}

// A message arrives as a whole, so after its first part no read can block.
static void
s_read_parts(zsock_t *socket, parts_t *parts)
{
    bool more = true;
    while (more) {
        zframe_t *frame = zframe_recv(socket);
        more = frame && zframe_more(frame);
        if (frame && parts->count < PARTS_MAX)
            parts->frames[parts->count] = frame;
        else
            zframe_destroy(&frame);
        parts->count++;
    }
}

// The name of the sender stands on the envelope: libzmq 4.3.4 leaves it out of a route
// frame that was polled.
static int
s_read_user(zframe_t *envelope, char user[RMT_USER_SIZE], rmt_error_t *error)
{
    const char *text = envelope ? zframe_meta(envelope, "User-Id") : NULL;
    if (!text || strlen(text) != RMT_USER_SIZE - 1)
        return rmt_fail(error, RMT_E_PROTOCOL,
                        "a message came without the key of its sender");
    memcpy(user, text, RMT_USER_SIZE);
    return 0;
}

static int
s_read_msg(parts_t *parts, size_t first, rmt_msg_t **msg_out, rmt_error_t *error)
{
    const size_t count = parts->count - first;
    if (parts->count <= first || parts->count > PARTS_MAX || count > 2)
        return rmt_fail(error, RMT_E_PROTOCOL,
                        "a message has %zu frames, too few or too many", parts->count);
    zframe_t *envelope = parts->frames[first];
    rmt_auto(rmt_msg) msg =
        rmt_codec_decode(zframe_data(envelope), zframe_size(envelope), error);
    if (!msg)
        return -1;
    const bool has_bytes = msg->kind == RMT_MSG_CHUNK || msg->kind == RMT_MSG_CHUNKS;
    if (has_bytes != (count == 2))
        return rmt_fail(error, RMT_E_PROTOCOL, "a %s of %zu frames",
                        rmt_msg_kind_name(msg->kind), count);
    if (count == 2)
        msg->payload = rmt_take(&parts->frames[first + 1]);
    *msg_out = rmt_take(&msg);
    return 0;
}

int
rmt_socket_recv(zsock_t *socket, rmt_packet_t *packet, rmt_error_t *error)
{
    assert(socket && packet && error);
    rmt_packet_clear(packet);
    if (!(zsock_events(socket) & ZMQ_POLLIN))
        return 0;
    const int type = s_type(socket);
    assert(type != ZMQ_XPUB);
    const size_t first = type == ZMQ_DEALER ? 0 : 1;
    parts_t parts = {0};
    s_read_parts(socket, &parts);
    int rc = 0;
    packet->size = parts.frames[first] ? zframe_size(parts.frames[first]) : 0;
    if (type == ZMQ_ROUTER) {
        packet->route = rmt_take(&parts.frames[0]);
        if (parts.frames[1])
            packet->origin = rmt_origin_of(parts.frames[1]);
        rc = s_read_user(parts.frames[1], packet->user, error);
    }
    if (rc == 0)
        rc = s_read_msg(&parts, first, &packet->msg, error);
    s_free_parts(&parts);
    return rc == 0 ? 1 : -1;
}

bool
rmt_socket_recv_subscription(zsock_t *socket, rmt_subscription_t *subscription)
{
    assert(socket && subscription);
    if (!(zsock_events(socket) & ZMQ_POLLIN))
        return false;
    parts_t parts = {0};
    rmt_error_t ignored = {0};
    s_read_parts(socket, &parts);
    zframe_t *frame = parts.frames[0];
    *subscription = (rmt_subscription_t){.origin.fd = -1};
    if (frame && s_read_user(frame, subscription->user, &ignored) == 0) {
        const size_t size = zframe_size(frame);
        subscription->origin = rmt_origin_of(frame);
        subscription->is_on = size == 0 || zframe_data(frame)[0] != 0;
        subscription->size = size > 0 ? size - 1 : 0;
    }
    s_free_parts(&parts);
    return true;
}
