#include "net/rmt_client.h"
#include "facts/rmt_endpoint.h"
#include "base/rmt_auto.h"
#include "base/rmt_random.h"
#include "base/rmt_clock.h"
#include "crypto/rmt_id.h"
#include "base/rmt_io.h"
#include "net/rmt_socket.h"

#include <assert.h>
#include <string.h>

#define TRY_MS 2500  // How long one broker may be silent; grows with each try
#define ONLY_MS 5000 // The same where no other broker can be asked: it may be far away
#define TRY_MS_MAX 20000
#define BUSY_MS 20 // First pause after BUSY; grows with each
#define BUSY_MS_MAX 1000
#define LIST_MAX ((size_t) 1000000)
#define HOST_TEXT_SIZE (RMT_ENDPOINT_HOST_SIZE + 8)

struct rmt_client {
    char **brokers; // "host:port" of console ports
    size_t count, index;
    rmt_key_t own;
    char broker_key[RMT_USER_SIZE];
    uint32_t timeout_ms;
    uint64_t sequence;
    zsock_t *socket;     // DEALER, to one broker
    zsock_t *watcher;    // PAIR: tells when the handshake fails
    rmt_error_t trouble; // What it said of the last broker that has another key
    zsock_t *events;     // SUB, to all brokers
};

rmt_client_t *
rmt_client_new(const char *const *brokers, const rmt_key_t *own, const char *broker_key,
               uint32_t timeout_ms, rmt_error_t *error)
{
    assert(brokers && own && broker_key && error);
    rmt_auto(rmt_client) self = zmalloc(sizeof *self);
    self->own = *own;
    self->timeout_ms = timeout_ms;
    // Not from 1: a console that starts again must not take an old reply for its own.
    uint32_t start = 0;
    rmt_random_bytes(&start, sizeof start);
    self->sequence = start;
    if (strlen(broker_key) != RMT_USER_SIZE - 1) {
        rmt_fail(error, RMT_E_USAGE,
                 "the broker's public key is not 40 characters of Z85");
        return NULL;
    }
    memcpy(self->broker_key, broker_key, RMT_USER_SIZE);
    size_t count = 0;
    while (brokers[count])
        count++;
    self->brokers = zmalloc((count + 1) * sizeof *self->brokers);
    for (; self->count < count; self->count++) {
        char host[RMT_ENDPOINT_HOST_SIZE];
        uint16_t port = 0;
        if (rmt_endpoint_split(brokers[self->count], host, &port, error) == -1)
            return NULL;
        self->brokers[self->count] = rmt_text("%s", brokers[self->count]);
    }
    if (count == 0) {
        rmt_fail(error, RMT_E_USAGE,
                 "the setting brokers is empty; name a broker such as 10.0.0.1");
        return NULL;
    }
    return rmt_take(&self);
}

static void
s_disconnect(rmt_client_t *self)
{
    rmt_socket_close_watched(&self->socket, &self->watcher);
}

void
rmt_client_destroy(rmt_client_t **self_p)
{
    assert(self_p);
    rmt_client_t *self = rmt_take(self_p);
    if (!self)
        return;
    s_disconnect(self);
    zsock_destroy(&self->events);
    for (size_t i = 0; i < self->count; i++)
        free(self->brokers[i]);
    free(self->brokers);
    rmt_key_wipe(&self->own);
    free(self);
}

// ---- One try at one broker

static int
s_connect(rmt_client_t *self, rmt_error_t *error)
{
    if (self->socket)
        return 0;
    self->socket =
        rmt_socket_new_watched(RMT_SOCKET_CONSOLE_CLIENT, self->brokers[self->index],
                               &self->own, self->broker_key, &self->watcher, error);
    return self->socket ? 0 : -1;
}

static void
s_next_broker(rmt_client_t *self)
{
    s_disconnect(self);
    self->index = (self->index + 1) % self->count;
}

// The answer to this request, if it has come: 1, 0, or -1 with the broker's refusal.
static int
s_read_answer(rmt_client_t *self, rmt_msg_t **reply_out, rmt_error_t *error)
{
    int rc;
    rmt_error_t ignored = {0};
    rmt_packet_t packet = {0};
    while ((rc = rmt_socket_recv(self->socket, &packet, &ignored)) != 0) {
        rmt_auto(rmt_msg) msg = rmt_take(&packet.msg);
        rmt_packet_clear(&packet);
        if (rc == -1 || msg->sequence != self->sequence)
            continue;
        if (msg->kind == RMT_MSG_REPLY && msg->code == RMT_E_OK) {
            *reply_out = rmt_take(&msg);
            return 1;
        }
        if (msg->kind == RMT_MSG_REPLY || msg->kind == RMT_MSG_REFUSED)
            return rmt_fail(error, rmt_code_from(msg->code), "%s",
                            msg->text && *msg->text ? msg->text : "refused");
    }
    return 0;
}

// Wait at most wait_ms: 1 answered, 0 silence, -1 failed for good.
static int
s_wait_answer(rmt_client_t *self, int64_t wait_ms, rmt_msg_t **reply_out,
              rmt_error_t *error)
{
    const int64_t until = rmt_clock_ms() + wait_ms;
    int64_t left;
    while ((left = until - rmt_clock_ms()) > 0) {
        zmq_pollitem_t items[2] = {{zsock_resolve(self->socket), 0, ZMQ_POLLIN, 0},
                                   {zsock_resolve(self->watcher), 0, ZMQ_POLLIN, 0}};
        const int ready = zmq_poll(items, 2, (long) left);
        if (ready == -1 && (errno != EINTR || zsys_interrupted))
            return rmt_fail(error, RMT_E_CANCELLED, "interrupted");
        const int rc = s_read_answer(self, reply_out, error);
        if (rc != 0)
            return rc;
        if (ready > 0 && items[1].revents &&
            rmt_socket_watch(self->watcher, self->brokers[self->index], &self->trouble) ==
                -1 &&
            self->trouble.code == RMT_E_NOT_ALLOWED) {
            *error = self->trouble;
            // The next request starts anew: the key may have been approved by then.
            s_next_broker(self);
            return -1;
        }
    }
    return 0;
}

// After BUSY: by chance a little longer or shorter, so that programs with one key do not
// come again together. -1: the time is over.
static int
s_pause(uint32_t *busy_ms, int64_t until)
{
    uint32_t chance = 0;
    rmt_random_bytes(&chance, sizeof chance);
    const int64_t pause_ms = *busy_ms / 2 + chance % *busy_ms;
    if (rmt_clock_ms() + pause_ms >= until)
        return -1;
    *busy_ms = *busy_ms * 2 > BUSY_MS_MAX ? BUSY_MS_MAX : *busy_ms * 2;
    return zmq_poll(NULL, 0, (long) pause_ms) == -1 && zsys_interrupted ? -1 : 0;
}

static rmt_msg_t *
s_make_request(rmt_client_t *self, const rmt_request_t *request)
{
    rmt_msg_t *msg = rmt_msg_new(RMT_MSG_REQUEST);
    msg->sequence = ++self->sequence;
    rmt_msg_text(&msg->verb, request->verb);
    if (request->cursor)
        rmt_msg_text(&msg->cursor, request->cursor);
    if (request->idempotency)
        memcpy(msg->idempotency, request->idempotency, RMT_UID_SIZE);
    if (request->body)
        msg->body = rmt_record_dup(request->body);
    if (request->items)
        msg->items = rmt_records_dup(request->items);
    return msg;
}

rmt_msg_t *
rmt_client_request(rmt_client_t *self, const rmt_request_t *request, rmt_error_t *error)
{
    assert(self && request && request->verb && error);
    rmt_auto(rmt_msg) msg = s_make_request(self, request);
    self->trouble = (rmt_error_t){0};
    const int64_t until = rmt_clock_ms() + self->timeout_ms;
    int64_t wait_ms = self->count == 1 ? ONLY_MS : TRY_MS;
    uint32_t busy_ms = BUSY_MS;
    while (rmt_clock_ms() < until) {
        const int64_t left = until - rmt_clock_ms();
        rmt_msg_t *reply = NULL;
        if (s_connect(self, error) == -1 ||
            rmt_socket_send(self->socket, NULL, msg, false, error) == -1)
            return NULL;
        const int rc =
            s_wait_answer(self, wait_ms < left ? wait_ms : left, &reply, error);
        if (rc == 1)
            return reply;
        if (rc == -1 && error->code == RMT_E_BUSY && s_pause(&busy_ms, until) == 0)
            continue; // BUSY had no effect: the same request is sent again
        if (rc == -1)
            return NULL;
        // A new socket each time: what the old one still held is dropped with it.
        s_next_broker(self);
        wait_ms = wait_ms * 2 < TRY_MS_MAX ? wait_ms * 2 : TRY_MS_MAX;
    }
    rmt_fail(error, RMT_E_UNAVAILABLE, "no broker answered %s in %u ms (%s%s)%s%s",
             request->verb, self->timeout_ms, self->brokers[0],
             self->count > 1 ? " and others" : "", self->trouble.code ? ": " : "",
             self->trouble.text);
    return NULL;
}

rmt_msg_t *
rmt_client_whole(rmt_client_t *self, const char *verb, const rmt_record_t *body,
                 rmt_error_t *error)
{
    assert(self && verb && error);
    rmt_auto(rmt_msg) whole = NULL;
    rmt_auto_str cursor = NULL;
    do {
        const rmt_request_t request = {verb, body, NULL, cursor, NULL};
        rmt_auto(rmt_msg) reply = rmt_client_request(self, &request, error);
        if (!reply)
            return NULL;
        free(cursor);
        cursor = rmt_take(&reply->cursor);
        if (!whole) {
            whole = rmt_take(&reply);
            whole->items = whole->items ? whole->items : rmt_records_new();
            continue;
        }
        const size_t count = reply->items ? rmt_records_count(reply->items) : 0;
        for (size_t i = 0; i < count; i++) {
            rmt_record_t *record = rmt_record_dup(rmt_records_at(reply->items, i));
            rmt_records_append(whole->items, &record);
        }
        if (rmt_records_count(whole->items) > LIST_MAX) {
            rmt_fail(error, RMT_E_TOO_BIG, "the answer to %s has more than %zu items",
                     verb, LIST_MAX);
            return NULL;
        }
    } while (cursor && *cursor);
    return rmt_take(&whole);
}

rmt_records_t *
rmt_client_list(rmt_client_t *self, const char *verb, const rmt_record_t *body,
                rmt_error_t *error)
{
    rmt_auto(rmt_msg) whole = rmt_client_whole(self, verb, body, error);
    return whole ? rmt_take(&whole->items) : NULL;
}

// ---- Events

static zsock_t *
s_open_events(rmt_client_t *self, rmt_error_t *error)
{
    rmt_auto(zsock) events = NULL;
    for (size_t i = 0; i < self->count; i++) {
        char host[RMT_ENDPOINT_HOST_SIZE];
        char address[HOST_TEXT_SIZE];
        uint16_t port = 0;
        if (rmt_endpoint_split(self->brokers[i], host, &port, error) == -1)
            return NULL;
        snprintf(address, sizeof address, "%s:%u", host, port + 1U);
        if (i > 0 && zsock_connect(events, "tcp://%s", address) == -1) {
            rmt_fail_errno(error, "connect %s", address);
            return NULL;
        }
        if (i == 0)
            events = rmt_socket_new(RMT_SOCKET_EVENTS_CLIENT, address, &self->own,
                                    self->broker_key, error);
        if (!events)
            return NULL;
    }
    return rmt_take(&events);
}

int
rmt_client_subscribe(rmt_client_t *self, const char *prefix, rmt_error_t *error)
{
    assert(self && prefix && error);
    if (!self->events)
        self->events = s_open_events(self, error);
    if (!self->events)
        return -1;
    zsock_set_subscribe(self->events, prefix);
    return 0;
}

rmt_msg_t *
rmt_client_next_event(rmt_client_t *self, uint32_t timeout_ms, rmt_error_t *error)
{
    assert(self && self->events && error);
    const int64_t until = rmt_clock_ms() + timeout_ms;
    for (;;) {
        rmt_error_t ignored = {0};
        rmt_packet_t packet = {0};
        const int rc = rmt_socket_recv(self->events, &packet, &ignored);
        rmt_auto(rmt_msg) msg = rmt_take(&packet.msg);
        if (rc == 1 && msg->kind == RMT_MSG_EVENT)
            return rmt_take(&msg);
        const int64_t left = until - rmt_clock_ms();
        if (rc != 0)
            continue;
        if (left <= 0) {
            rmt_fail(error, RMT_E_TIMEOUT, "no event came within %u ms", timeout_ms);
            return NULL;
        }
        zmq_pollitem_t item = {zsock_resolve(self->events), 0, ZMQ_POLLIN, 0};
        if (zmq_poll(&item, 1, (long) left) == -1 &&
            (errno != EINTR || zsys_interrupted)) {
            rmt_fail(error, RMT_E_CANCELLED, "interrupted");
            return NULL;
        }
    }
}
