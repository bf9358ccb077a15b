#include "net/rmt_zap.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "crypto/rmt_key.h"
#include "net/rmt_socket.h"

#include <assert.h>
#include <czmq.h>
#include <pthread.h>
#include <inttypes.h>

#define ENDPOINT "inproc://zeromq.zap.01"
#define KEY_SIZE 32 // Binary, as it comes in a request
#define KEY_TEXT_SIZE 41
// Version, request id, domain, address, identity, mechanism, key.
#define REQUEST_PARTS 7
#define ENTRY_SIZE 128
#define SELF_TEST_MS 3000
#define MUTED_MAX 10000
#define HELD_MAX 16384 // Handshakes that wait for complete lists

struct rmt_zap {
    zactor_t *actor;
    pthread_mutex_t mutex; // Of a command and its answer
};

// What the thread owns. An entry is "domain key", or "domain *" for all keys.
typedef struct {
    zsock_t *handler;
    zhashx_t *allowed;
    zhashx_t *muted; // Key or network -> text of the time of the clock when it ends
    bool is_open;    // More keys will be allowed: a key without a list yet waits
    zlistx_t *held;  // request_t that wait for it
    uint64_t refused;
} doorman_t;

static void
doorman_destroy(doorman_t **self_p)
{
    doorman_t *self = rmt_take(self_p);
    if (!self)
        return;
    // Closing alone would free the name some time later, when libzmq reaps the socket.
    if (self->handler)
        (void) zsock_unbind(self->handler, ENDPOINT);
    zsock_destroy(&self->handler);
    zlistx_destroy(&self->held);
    zhashx_destroy(&self->allowed);
    zhashx_destroy(&self->muted);
    free(self);
}

static char *
s_entry(char entry[ENTRY_SIZE], const char *domain, const char *key)
{
    snprintf(entry, ENTRY_SIZE, "%s %s", domain, key);
    return entry;
}

// ---- In the thread

// A handshake that waits for its answer.
typedef struct {
    zframe_t *route, *id;
    char *domain;
    char network[RMT_ADDRESS_SIZE];
    char key[KEY_TEXT_SIZE]; // In Z85; empty when the request had another form
} request_t;

static void
s_request_destroy(void **item_p)
{
    request_t *self = *item_p;
    zframe_destroy(&self->route);
    zframe_destroy(&self->id);
    free(self->domain);
    free(self);
    *item_p = NULL;
}

// Takes the message. Caller owns the result; NULL: it cannot be answered.
static request_t *
s_request_new(zmsg_t *msg)
{
    request_t *self = zmalloc(sizeof *self);
    self->route = zmsg_unwrap(msg);
    zframe_t *version = zmsg_first(msg);
    zframe_t *id = zmsg_next(msg);
    zframe_t *domain = zmsg_next(msg);
    zframe_t *address = zmsg_next(msg);
    (void) zmsg_next(msg);
    zframe_t *mechanism = zmsg_next(msg);
    zframe_t *key = zmsg_next(msg);
    self->id = id ? zframe_dup(id) : NULL;
    self->domain = domain ? zframe_strdup(domain) : strdup("");
    if (zmsg_size(msg) == REQUEST_PARTS && zframe_streq(version, "1.0") &&
        zframe_streq(mechanism, "CURVE") && zframe_size(key) == KEY_SIZE) {
        zmq_z85_encode(self->key, zframe_data(key), KEY_SIZE);
        rmt_auto_str text = zframe_strdup(address);
        rmt_origin_network(text, self->network);
    }
    zmsg_destroy(&msg);
    if (!self->route || !self->id)
        s_request_destroy((void **) &self);
    return self;
}

static bool
s_is_listed(const doorman_t *self, const char *domain, const char *key)
{
    char entry[ENTRY_SIZE];
    return zhashx_lookup(self->allowed, s_entry(entry, domain, key));
}

static bool
s_is_allowed(const doorman_t *self, const char *domain, const char *key)
{
    return s_is_listed(self, domain, key) || s_is_listed(self, domain, "*");
}

static bool
s_is_muted(doorman_t *self, const char *peer)
{
    const char *until = zhashx_lookup(self->muted, peer);
    if (!until)
        return false;
    if (rmt_clock_ms() < atoll(until))
        return true;
    zhashx_delete(self->muted, peer);
    return false;
}

static void
s_answer(doorman_t *self, const request_t *asked, const char *status, const char *text)
{
    rmt_auto(zmsg) reply = zmsg_new();
    zmsg_addmem(reply, zframe_data(asked->route), zframe_size(asked->route));
    zmsg_addstr(reply, "");
    zmsg_addstr(reply, "1.0");
    zmsg_addmem(reply, zframe_data(asked->id), zframe_size(asked->id));
    zmsg_addstr(reply, status);
    zmsg_addstr(reply, text);
    zmsg_addstr(reply, streq(status, "200") ? asked->key : "");
    zmsg_addmem(reply, NULL, 0);
    zmsg_send(&reply, self->handler); // One that has gone is answered into the void
}

// False: it has to wait until the lists are complete.
static bool
s_decide(doorman_t *self, const request_t *asked)
{
    const char *domain = asked->domain;
    const bool is_read = *asked->key;
    // Where keys are told apart, an address says nothing about them.
    const bool is_muted =
        is_read && (s_is_muted(self, asked->key) ||
                    (s_is_listed(self, domain, "*") && s_is_muted(self, asked->network)));
    const bool allowed = is_read && !is_muted && s_is_allowed(self, domain, asked->key);
    if (is_read && !allowed && !is_muted && self->is_open)
        return false;
    if (allowed) {
        s_answer(self, asked, "200", "OK");
    } else if (is_muted) {
        s_answer(self, asked, "300", "try again later");
    } else {
        self->refused++;
        s_answer(self, asked, "400", "not allowed");
    }
    return true;
}

static void
s_take(doorman_t *self)
{
    zmsg_t *msg = zmsg_recv(self->handler);
    request_t *asked = msg ? s_request_new(msg) : NULL;
    if (!asked)
        return;
    if (s_decide(self, asked)) {
        s_request_destroy((void **) &asked);
        return;
    }
    // The oldest is the first that gives its handshake up.
    if (zlistx_size(self->held) == HELD_MAX)
        (void) zlistx_delete(self->held, NULL);
    zlistx_add_end(self->held, asked);
}

// The lists are complete: those that wait have their answers.
static void
s_close(doorman_t *self)
{
    self->is_open = false;
    for (const request_t *asked; (asked = zlistx_first(self->held));) {
        (void) s_decide(self, asked);
        (void) zlistx_delete(self->held, zlistx_cursor(self->held));
    }
}

// When the table is full, the peers that come last are not muted.
static void
s_mute(doorman_t *self, const char *peer, const char *until)
{
    if (zhashx_size(self->muted) >= MUTED_MAX) {
        rmt_auto(zlistx) peers = zhashx_keys(self->muted);
        for (const char *one = zlistx_first(peers); one; one = zlistx_next(peers))
            (void) s_is_muted(self, one);
    }
    if (zhashx_size(self->muted) < MUTED_MAX)
        zhashx_update(self->muted, peer, strdup(until));
}

// Returns false when the owner wants the end.
static bool
s_obey(doorman_t *self, zsock_t *pipe)
{
    rmt_auto(zmsg) request = zmsg_recv(pipe);
    if (!request)
        return true;
    rmt_auto_str command = zmsg_popstr(request);
    if (streq(command, "$TERM"))
        return false;
    rmt_auto_str entry = zmsg_popstr(request);
    rmt_auto_str until = zmsg_popstr(request);
    if (streq(command, "MUTE"))
        s_mute(self, entry, until);
    else if (streq(command, "ALLOW"))
        zhashx_update(self->allowed, entry, self);
    else if (streq(command, "DENY"))
        zhashx_delete(self->allowed, entry);
    else if (streq(command, "OPEN"))
        self->is_open = true;
    else if (streq(command, "CLOSE"))
        s_close(self);
    zsock_send(pipe, "8", self->refused);
    return true;
}

static void
s_run(zsock_t *pipe, void *argument)
{
    rmt_auto(doorman) self = argument; // Taken: ends with this thread
    rmt_auto(zpoller) poller = zpoller_new(pipe, self->handler, NULL);
    // A signal meant for the program must not end this thread before its sockets:
    // without an answer here the handshakes would hang or pass.
    zpoller_set_nonstop(poller, true);
    zsock_signal(pipe, 0);
    bool alive = true;
    while (alive) {
        const void *ready = zpoller_wait(poller, -1);
        if (ready == pipe)
            alive = s_obey(self, pipe);
        else if (ready == self->handler)
            s_take(self);
        else if (zpoller_terminated(poller) && errno == ETERM)
            alive = false;
    }
}

// ---- For the owner

static void
s_free_text(void **item_p)
{
    free(*item_p);
    *item_p = NULL;
}

rmt_zap_t *
rmt_zap_new(rmt_error_t *error)
{
    assert(error);
    rmt_auto(doorman) doorman = zmalloc(sizeof *doorman);
    doorman->allowed = zhashx_new();
    doorman->muted = zhashx_new();
    zhashx_set_destructor(doorman->muted, s_free_text);
    doorman->held = zlistx_new();
    zlistx_set_destructor(doorman->held, s_request_destroy);
    doorman->handler = zsock_new(ZMQ_ROUTER); // A REP socket holds nothing back
    if (!doorman->handler) {
        rmt_fail_errno(error, "ZAP socket");
        return NULL;
    }
    if (zsock_bind(doorman->handler, ENDPOINT) == -1) {
        rmt_fail(error, RMT_E_EXISTS, "the address %s is in use: %s", ENDPOINT,
                 zmq_strerror(errno));
        return NULL;
    }
    rmt_zap_t *self = zmalloc(sizeof *self);
    self->actor = zactor_new(s_run, rmt_take(&doorman));
    assert(self->actor);
    pthread_mutex_init(&self->mutex, NULL);
    return self;
}

void
rmt_zap_destroy(rmt_zap_t **self_p)
{
    assert(self_p);
    rmt_zap_t *self = rmt_take(self_p);
    if (!self)
        return;
    zactor_destroy(&self->actor);
    pthread_mutex_destroy(&self->mutex);
    free(self);
}

// Each command is answered, so it holds when the call is over. Returns the number of
// handshakes that were refused.
static uint64_t
s_command(rmt_zap_t *self, const char *command, const char *entry, const char *until)
{
    assert(self && entry);
    uint64_t refused = 0;
    pthread_mutex_lock(&self->mutex);
    zsock_send(self->actor, "sss", command, entry, until);
    zsock_recv(self->actor, "8", &refused);
    pthread_mutex_unlock(&self->mutex);
    return refused;
}

static uint64_t
s_ask(rmt_zap_t *self, const char *command, const char *domain, const char *key)
{
    assert(strlen(domain) + strlen(key) + 2 <= ENTRY_SIZE);
    char entry[ENTRY_SIZE];
    return s_command(self, command, s_entry(entry, domain, key), "");
}

void
rmt_zap_mute(rmt_zap_t *self, const char *peer, int64_t mute_ms)
{
    char until[24];
    snprintf(until, sizeof until, "%" PRId64, rmt_clock_ms() + mute_ms);
    (void) s_command(self, "MUTE", peer, until);
}

void
rmt_zap_allow(rmt_zap_t *self, const char *domain, const char *key)
{
    assert(strlen(key) == KEY_TEXT_SIZE - 1);
    s_ask(self, "ALLOW", domain, key);
}

void
rmt_zap_deny(rmt_zap_t *self, const char *domain, const char *key)
{
    assert(strlen(key) == KEY_TEXT_SIZE - 1);
    s_ask(self, "DENY", domain, key);
}

void
rmt_zap_allow_any(rmt_zap_t *self, const char *domain)
{
    s_ask(self, "ALLOW", domain, "*");
}

void
rmt_zap_open_lists(rmt_zap_t *self)
{
    s_ask(self, "OPEN", "", "");
}

void
rmt_zap_close_lists(rmt_zap_t *self)
{
    s_ask(self, "CLOSE", "", "");
}

uint64_t
rmt_zap_refused(rmt_zap_t *self)
{
    return s_ask(self, "COUNT", "", "");
}

// ---- Self-test

static void
s_fresh_key(rmt_key_t *key)
{
    memset(key, 0, sizeof *key);
    const int rc = zmq_curve_keypair(key->public_text, key->secret_text);
    assert(rc == 0);
}

// 1 when a message of this key got through to the server, 0 when its handshake was
// refused, -1 when neither happened in time.
static int
s_try_key(rmt_zap_t *self, zsock_t *server, const char *server_key, const rmt_key_t *own)
{
    const uint64_t before = rmt_zap_refused(self);
    const int64_t until = rmt_clock_ms() + SELF_TEST_MS / 2;
    rmt_error_t error = {0};
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u",
             (unsigned) rmt_socket_port(server));
    rmt_auto(zsock) client =
        rmt_socket_new(RMT_SOCKET_CONTROL_CLIENT, endpoint, own, server_key, &error);
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    if (!client)
        return -1;
    // Where the handshake was refused before this, no connection is left to send by.
    (void) rmt_socket_send(client, NULL, beat, false, &error);
    rmt_auto(zpoller) poller = zpoller_new(server, NULL);
    while (rmt_clock_ms() < until) {
        if (zpoller_wait(poller, 20) == server) {
            rmt_packet_t packet = {0};
            const bool in = rmt_socket_recv(server, &packet, &error) == 1 &&
                            streq(packet.user, own->public_text);
            rmt_packet_clear(&packet);
            if (in)
                return 1;
        }
        if (rmt_zap_refused(self) > before)
            return 0;
    }
    return -1;
}

int
rmt_zap_self_test(rmt_zap_t *self, rmt_error_t *error)
{
    assert(self && error);
    rmt_key_t server_key, stranger, friend;
    s_fresh_key(&server_key);
    s_fresh_key(&stranger);
    s_fresh_key(&friend);
    const rmt_socket_kind_t kind = RMT_SOCKET_DATA_SERVER;
    const char *domain = rmt_socket_domain(kind);
    rmt_auto(zsock) server =
        rmt_socket_new(kind, "tcp://127.0.0.1:*", &server_key, NULL, error);
    if (!server)
        return rmt_wrap(error, "ZAP self-test");
    const int strange = s_try_key(self, server, server_key.public_text, &stranger);
    if (strange != 0)
        return rmt_fail(error, RMT_E_INTERNAL, "ZAP self-test: an unknown key %s",
                        strange == 1 ? "got in" : "was not refused in time");
    rmt_zap_allow(self, domain, friend.public_text);
    const int known = s_try_key(self, server, server_key.public_text, &friend);
    rmt_zap_deny(self, domain, friend.public_text);
    if (known != 1)
        return rmt_fail(error, RMT_E_INTERNAL,
                        "ZAP self-test: an allowed key is refused");
    return 0;
}
