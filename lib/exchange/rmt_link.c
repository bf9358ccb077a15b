#include <assert.h>
#include <string.h>
#include "facts/rmt_address.h"
#include "facts/rmt_endpoint.h"
#include "base/rmt_auto.h"
#include "base/rmt_random.h"
#include "base/rmt_clock.h"
#include "base/rmt_grow.h"
#include "base/rmt_io.h"
#include "exchange/rmt_link.h"
#include "net/rmt_socket.h"

#define ALIVE_MS 1000
#define KEY_SIZE 41

typedef struct {
    char *endpoint; // host:port
    char *name;     // For people
    char key[KEY_SIZE];
} s_endpoint_t;

struct rmt_link {
    s_endpoint_t *endpoints;
    size_t count, next;
    const rmt_key_t *own;
    zsock_t *socket, *watcher; // The watcher tells when the holder refuses our key
    rmt_link_alive_fn *alive;
    void *context;
    int64_t asked_ms; // When alive was asked last
    bool has_heard;   // Something came from the endpoint in use
    bool is_lost;     // And then its connection ended
};

// An address without a port has the holder's.
static char *
s_with_port(const char *address, const char *port)
{
    char host[RMT_ENDPOINT_HOST_SIZE];
    uint16_t number;
    rmt_error_t ignored = {0};
    if (rmt_endpoint_split(address, host, &number, &ignored) == 0)
        return rmt_text("%s", address);
    rmt_address_t own;
    if (rmt_address_read(address, &own) && own.is_v6)
        return rmt_text("[%s]:%s", address, port);
    return rmt_text("%s:%s", address, port);
}

static int
s_add_address(rmt_link_t *self, const rmt_record_t *holder, const char *address,
              const char *host, rmt_error_t *error)
{
    const char *key = rmt_record_text(holder, "key", "");
    if (strlen(key) != KEY_SIZE - 1)
        return rmt_fail(error, RMT_E_USAGE, "a holder of chunks has no valid key");
    rmt_auto_str full = s_with_port(address, rmt_record_text(holder, "port", ""));
    char *endpoint = rmt_endpoint_expand(full, host ? host : "", error);
    if (!endpoint)
        return -1;
    rmt_grow_one(&self->endpoints, self->count);
    s_endpoint_t *slot = &self->endpoints[self->count++];
    slot->endpoint = endpoint;
    slot->name = rmt_text("%s %s", rmt_record_text(holder, "name", "holder"), endpoint);
    memcpy(slot->key, key, KEY_SIZE);
    return 0;
}

static int
s_add_holder(rmt_link_t *self, const rmt_record_t *holder, const char *host,
             rmt_error_t *error)
{
    rmt_auto_str addresses = rmt_text("%s", rmt_record_text(holder, "addresses", "@"));
    char *rest = NULL;
    for (char *word = strtok_r(addresses, " ,\t\n", &rest); word;
         word = strtok_r(NULL, " ,\t\n", &rest))
        if (s_add_address(self, holder, word, host, error) == -1)
            return -1;
    return 0;
}

rmt_link_t *
rmt_link_new(const rmt_records_t *holders, const char *host, const rmt_key_t *own,
             rmt_error_t *error)
{
    assert(holders);
    assert(own);
    rmt_auto(rmt_link) self = calloc(1, sizeof(*self));
    assert(self);
    self->own = own;
    for (size_t i = 0; i < rmt_records_count(holders); i++)
        if (s_add_holder(self, rmt_records_at(holders, i), host, error) == -1)
            return NULL;
    if (self->count == 0) {
        rmt_fail(error, RMT_E_UNAVAILABLE,
                 "the broker names no worker with a data port; see: ramet doctor");
        return NULL;
    }
    // Not all clients begin at the same holder.
    uint32_t random;
    rmt_random_bytes(&random, sizeof(random));
    self->next = random % self->count;
    return rmt_take(&self);
}

void
rmt_link_destroy(rmt_link_t **self_p)
{
    assert(self_p);
    rmt_link_t *self = rmt_take(self_p);
    if (!self)
        return;
    rmt_socket_close_watched(&self->socket, &self->watcher);
    for (size_t i = 0; i < self->count; i++) {
        free(self->endpoints[i].endpoint);
        free(self->endpoints[i].name);
    }
    free(self->endpoints);
    free(self);
}

void
rmt_link_set_alive(rmt_link_t *self, rmt_link_alive_fn *alive, void *context)
{
    self->alive = alive;
    self->context = context;
}

size_t
rmt_link_count(const rmt_link_t *self)
{
    return self->count;
}

const char *
rmt_link_name(const rmt_link_t *self)
{
    return self->endpoints[(self->next + self->count - 1) % self->count].name;
}

int
rmt_link_next(rmt_link_t *self, rmt_error_t *error)
{
    rmt_socket_close_watched(&self->socket, &self->watcher);
    self->has_heard = false;
    self->is_lost = false;
    const s_endpoint_t *slot = &self->endpoints[self->next];
    self->next = (self->next + 1) % self->count;
    self->socket = rmt_socket_new_watched(RMT_SOCKET_DATA_CLIENT, slot->endpoint,
                                          self->own, slot->key, &self->watcher, error);
    return self->socket ? 0 : rmt_wrap(error, "connect to %s", slot->name);
}

// What the watcher tells. A connection that ends before anything was heard is one that
// does not stand yet: libzmq goes on trying. 0, or -1: NOT_ALLOWED, UNAVAILABLE.
static int
s_look(rmt_link_t *self, rmt_error_t *error)
{
    rmt_error_t why = {0};
    if (!self->is_lost &&
        rmt_socket_watch(self->watcher, rmt_link_name(self), &why) == -1) {
        if (why.code == RMT_E_NOT_ALLOWED)
            return rmt_fail(error, RMT_E_NOT_ALLOWED, "%s refuses this key",
                            rmt_link_name(self));
        self->is_lost = self->has_heard;
    }
    return self->is_lost ? rmt_fail(error, RMT_E_UNAVAILABLE,
                                    "the connection to %s was lost", rmt_link_name(self))
                         : 0;
}

int
rmt_link_go_on(rmt_link_t *self, rmt_error_t *error)
{
    const int64_t now = rmt_clock_ms();
    if (!self->alive || now - self->asked_ms < ALIVE_MS)
        return 0;
    self->asked_ms = now;
    return self->alive(self->context)
               ? 0
               : rmt_fail(error, RMT_E_CANCELLED, "the task was asked to stop");
}

// Wait for the socket. 1: ready, 0: time is over, -1: CANCELLED, NOT_ALLOWED,
// UNAVAILABLE.
static int
s_wait(rmt_link_t *self, short events, int64_t deadline_ms, rmt_error_t *error)
{
    while (true) {
        if (rmt_link_go_on(self, error) == -1)
            return -1;
        int64_t slice = deadline_ms - rmt_clock_ms();
        if (slice < 0)
            return 0;
        slice = self->is_lost ? 0 : slice < ALIVE_MS ? slice : ALIVE_MS;
        zmq_pollitem_t items[] = {{zsock_resolve(self->socket), 0, events, 0},
                                  {zsock_resolve(self->watcher), 0, ZMQ_POLLIN, 0}};
        (void) zmq_poll(items, 2, (long) slice);
        if (items[0].revents)
            return 1;
        if ((items[1].revents || self->is_lost) && s_look(self, error) == -1)
            return -1;
        if (slice == 0)
            return 0;
    }
}

int
rmt_link_send(rmt_link_t *self, const rmt_msg_t *msg, uint32_t timeout_ms,
              rmt_error_t *error)
{
    assert(self->socket);
    const int64_t deadline = rmt_clock_ms() + timeout_ms;
    if (s_look(self, error) == -1)
        return -1;
    while (rmt_socket_send(self->socket, NULL, msg, false, error) == -1) {
        const int rc = s_wait(self, ZMQ_POLLOUT, deadline, error);
        if (rc == -1)
            return -1;
        if (rc == 0)
            return rmt_fail(error, RMT_E_UNAVAILABLE, "%s does not answer",
                            rmt_link_name(self));
    }
    return 0;
}

rmt_msg_t *
rmt_link_recv(rmt_link_t *self, uint32_t timeout_ms, rmt_error_t *error)
{
    assert(self->socket);
    const int64_t deadline = rmt_clock_ms() + timeout_ms;
    while (true) {
        rmt_packet_t packet = {0};
        const int rc = rmt_socket_recv(self->socket, &packet, error);
        rmt_msg_t *msg = rc == 1 ? rmt_take(&packet.msg) : NULL;
        rmt_packet_clear(&packet);
        self->has_heard = self->has_heard || msg;
        if (msg)
            return msg;
        if (rc == -1 && rmt_clock_ms() < deadline)
            continue;
        const int ready =
            timeout_ms && rc == 0 ? s_wait(self, ZMQ_POLLIN, deadline, error) : 0;
        if (ready == 1)
            continue;
        if (ready == 0)
            rmt_fail(error, RMT_E_TIMEOUT, "%s sent nothing within the time",
                     rmt_link_name(self));
        return NULL;
    }
}
