#include "net/rmt_peer.h"
#include "facts/rmt_endpoint.h"
#include "base/rmt_auto.h"
#include "base/rmt_random.h"
#include "base/rmt_clock.h"
#include "crypto/rmt_id.h"
#include "net/rmt_socket.h"

#include <assert.h>
#include <string.h>

#define WELCOME_MS 5000 // First wait for WELCOME; a slow link gets more next time
#define WELCOME_MS_MAX 15000
#define BEAT_MS 3000
#define BEAT_MS_MIN 50
#define BEAT_MS_MAX 60000
#define BEATS_MISSED 3
#define HASTE_MS 60000 // So long after a loss retries come quickly
#define REHELLO_MS 500 // Between two HELLOs that a REFUSED asks for
#define BUSY_MS 1000   // Until the next one when the broker has no time for it

typedef enum { STATE_APART, STATE_GREETING, STATE_WELCOME } state_t;

struct rmt_peer {
    rmt_peer_config_t config;
    rmt_key_t own;
    char broker_key[RMT_USER_SIZE];
    char **brokers; // "host:port"
    size_t count, index;
    char host[RMT_ENDPOINT_HOST_SIZE];
    zsock_t *socket, *watcher;
    rmt_error_t trouble; // Why there is no WELCOME; its code is OK when nothing is known
    bool is_refused;     // So this broker said, and trouble has its words
    state_t state;
    uint32_t beat_ms, welcome_ms;
    int64_t lost_at;  // When the last broker was given up
    int64_t due_at;   // APART: next try; GREETING: give up; WELCOME: next beat
    int64_t heard_at; // Anything from the broker
    int64_t greeted_at;
    int64_t again_at; // GREETING: the next HELLO, when the broker asked for it; else 0
};

static uint32_t
s_random_between(uint32_t low, uint32_t high)
{
    uint32_t number = 0;
    rmt_random_bytes(&number, sizeof number);
    return low + number % (high - low + 1);
}

rmt_peer_t *
rmt_peer_new(const rmt_peer_config_t *config, rmt_error_t *error)
{
    assert(config && config->brokers && config->own && config->broker_key);
    assert(config->hello && config->beat && error);
    rmt_auto(rmt_peer) self = zmalloc(sizeof *self);
    self->config = *config;
    self->own = *config->own;
    self->beat_ms = BEAT_MS;
    self->welcome_ms = WELCOME_MS;
    self->lost_at = self->due_at = rmt_clock_ms();
    if (strlen(config->broker_key) != RMT_USER_SIZE - 1) {
        rmt_fail(error, RMT_E_USAGE,
                 "the broker's public key is not 40 characters of Z85");
        return NULL;
    }
    memcpy(self->broker_key, config->broker_key, RMT_USER_SIZE);
    size_t count = 0;
    while (config->brokers[count])
        count++;
    self->brokers = zmalloc((count + 1) * sizeof *self->brokers);
    for (; self->count < count; self->count++) {
        uint16_t port = 0;
        if (rmt_endpoint_split(config->brokers[self->count], self->host, &port, error) ==
            -1)
            return NULL;
        self->brokers[self->count] = strdup(config->brokers[self->count]);
        assert(self->brokers[self->count]);
    }
    if (count == 0) {
        rmt_fail(error, RMT_E_USAGE,
                 "the setting brokers is empty; name a broker such as 10.0.0.1");
        return NULL;
    }
    // Peers that start together should not all begin with the same broker.
    self->index = s_random_between(0, (uint32_t) count - 1);
    return rmt_take(&self);
}

void
rmt_peer_destroy(rmt_peer_t **self_p)
{
    assert(self_p);
    rmt_peer_t *self = rmt_take(self_p);
    if (!self)
        return;
    rmt_socket_close_watched(&self->socket, &self->watcher);
    for (size_t i = 0; i < self->count; i++)
        free(self->brokers[i]);
    free(self->brokers);
    free(self);
}

// ---- Steps of the link

// Leave this broker; the next one is tried after a pause that grows with the outage.
static void
s_part(rmt_peer_t *self, int64_t now)
{
    rmt_socket_close_watched(&self->socket, &self->watcher);
    if (self->state == STATE_WELCOME)
        self->lost_at = now;
    self->state = STATE_APART;
    self->index = (self->index + 1) % self->count;
    const bool haste = now - self->lost_at < HASTE_MS;
    self->due_at = now + s_random_between(500, haste ? 2000 : 30000);
}

static void
s_greet(rmt_peer_t *self, int64_t now)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) hello = self->config.hello(self->config.context);
    self->state = STATE_GREETING;
    self->greeted_at = now;
    self->again_at = 0;
    self->due_at = now + self->welcome_ms;
    if (rmt_socket_send(self->socket, NULL, hello, false, &error) == -1)
        s_part(self, now);
}

// One that stays without Redis is left for the next one in the same time.
static void
s_greet_again(rmt_peer_t *self, int64_t now)
{
    const int64_t due_at = self->due_at;
    s_greet(self, now);
    if (self->state == STATE_GREETING && self->trouble.code == RMT_E_UNAVAILABLE)
        self->due_at = due_at;
}

// A new socket every time: one that is connected to two brokers deals its messages
// out to both.
static void
s_connect(rmt_peer_t *self, int64_t now)
{
    rmt_error_t error = {0};
    const char *broker = self->brokers[self->index];
    uint16_t port = 0;
    self->is_refused = false;
    (void) rmt_endpoint_split(broker, self->host, &port, &error);
    self->socket = rmt_socket_new_watched(RMT_SOCKET_CONTROL_CLIENT, broker, &self->own,
                                          self->broker_key, &self->watcher, &error);
    if (self->socket)
        s_greet(self, now);
    else
        s_part(self, now);
}

static void
s_beat(rmt_peer_t *self, int64_t now)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) beat = self->config.beat(self->config.context);
    // A full queue shows a broker that does not read; its silence is counted anyway.
    (void) rmt_socket_send(self->socket, NULL, beat, false, &error);
    self->due_at = now + self->beat_ms;
}

static bool
s_is_silent(const rmt_peer_t *self, int64_t now)
{
    return now - self->heard_at >= (int64_t) self->beat_ms * BEATS_MISSED;
}

// What the broker said, or the reason of the handshake, tells more than a missing answer.
static void
s_time_out(rmt_peer_t *self, int64_t now)
{
    self->welcome_ms =
        self->welcome_ms * 2 > WELCOME_MS_MAX ? WELCOME_MS_MAX : self->welcome_ms * 2;
    if (!self->is_refused && self->trouble.code != RMT_E_CONFIG &&
        self->trouble.code != RMT_E_NOT_ALLOWED)
        rmt_fail(&self->trouble, RMT_E_UNAVAILABLE, "the broker at %s does not answer",
                 self->brokers[self->index]);
    s_part(self, now);
}

int
rmt_peer_tick(rmt_peer_t *self)
{
    assert(self);
    const int64_t now = rmt_clock_ms();
    if (self->watcher && self->state == STATE_GREETING)
        (void) rmt_socket_watch(self->watcher, self->brokers[self->index],
                                &self->trouble);
    if (self->state == STATE_GREETING && self->again_at && now >= self->again_at) {
        s_greet_again(self, now);
    } else if (self->state == STATE_WELCOME && s_is_silent(self, now)) {
        rmt_fail(&self->trouble, RMT_E_UNAVAILABLE,
                 "the broker at %s has sent nothing for %lld s",
                 self->brokers[self->index], (long long) (now - self->heard_at) / 1000);
        s_part(self, now);
    } else if (now >= self->due_at) {
        if (self->state == STATE_APART) {
            s_connect(self, now);
        } else if (self->state == STATE_WELCOME) {
            s_beat(self, now);
        } else {
            s_time_out(self, now);
        }
    }
    const bool is_asked = self->state == STATE_GREETING && self->again_at;
    const int64_t due_at =
        is_asked && self->again_at < self->due_at ? self->again_at : self->due_at;
    const int64_t left = due_at - rmt_clock_ms();
    return left < 0 ? 0 : left > 1000 ? 1000 : (int) left;
}

void
rmt_peer_greet(rmt_peer_t *self)
{
    assert(self);
    if (self->state != STATE_APART)
        s_greet(self, rmt_clock_ms());
}

// ---- Messages

// Returns false for a WELCOME that cannot be accepted.
static bool
s_take_welcome(rmt_peer_t *self, const rmt_msg_t *msg, int64_t now)
{
    if (msg->version != RMT_WIRE_VERSION) {
        rmt_fail(&self->trouble, RMT_E_UNSUPPORTED,
                 "the broker at %s speaks version %u of the protocol, and this program "
                 "version %u; install one version of ramet on both",
                 self->brokers[self->index], msg->version, (unsigned) RMT_WIRE_VERSION);
        s_part(self, now);
        return false;
    }
    const uint32_t beat_ms = msg->beat_ms ? msg->beat_ms : BEAT_MS;
    self->beat_ms = beat_ms < BEAT_MS_MIN   ? BEAT_MS_MIN
                    : beat_ms > BEAT_MS_MAX ? BEAT_MS_MAX
                                            : beat_ms;
    self->state = STATE_WELCOME;
    self->trouble = (rmt_error_t){0};
    self->welcome_ms = WELCOME_MS;
    self->due_at = now + self->beat_ms;
    return true;
}

// A broker that does not know us, or has no time or no Redis, hears HELLO again. Every
// other refusal is kept for the person who looks at this program.
static void
s_take_refusal(rmt_peer_t *self, const rmt_msg_t *msg, int64_t now)
{
    if (msg->code == RMT_E_NOT_FOUND) {
        if (now - self->greeted_at < REHELLO_MS)
            return;
        if (self->state == STATE_WELCOME)
            self->lost_at = now;
        s_greet(self, now);
        return;
    }
    if (self->state == STATE_GREETING || msg->code == RMT_E_NOT_ALLOWED) {
        self->is_refused = true;
        rmt_fail(&self->trouble, rmt_code_from(msg->code), "the broker at %s: %s",
                 self->brokers[self->index],
                 msg->text && *msg->text ? msg->text : "refused");
    }
    if (self->state == STATE_GREETING && msg->code == RMT_E_BUSY)
        self->again_at = now + BUSY_MS;
    // It just starts, or waits for Redis, and so do all others: not all at once.
    if (self->state == STATE_GREETING && msg->code == RMT_E_UNAVAILABLE)
        self->again_at = now + s_random_between(BUSY_MS, 3 * BUSY_MS);
    if (self->state == STATE_WELCOME && msg->code == RMT_E_NOT_ALLOWED)
        s_part(self, now);
}

// Returns true for a message that the owner should see.
static bool
s_take_msg(rmt_peer_t *self, const rmt_msg_t *msg)
{
    const int64_t now = rmt_clock_ms();
    self->heard_at = now;
    if (msg->kind == RMT_MSG_BEAT)
        return false;
    if (msg->kind == RMT_MSG_WELCOME)
        return s_take_welcome(self, msg, now);
    if (msg->kind != RMT_MSG_REFUSED)
        return self->state == STATE_WELCOME;
    s_take_refusal(self, msg, now);
    return false;
}

rmt_msg_t *
rmt_peer_recv(rmt_peer_t *self)
{
    assert(self);
    while (self->socket) {
        rmt_error_t error = {0};
        rmt_packet_t packet = {0};
        const int rc = rmt_socket_recv(self->socket, &packet, &error);
        if (rc == 0)
            break;
        rmt_auto(rmt_msg) msg = rmt_take(&packet.msg);
        rmt_packet_clear(&packet);
        if (rc == 1 && s_take_msg(self, msg))
            return rmt_take(&msg);
    }
    return NULL;
}

int
rmt_peer_send(rmt_peer_t *self, rmt_msg_t *msg, rmt_error_t *error)
{
    assert(self && msg && error);
    if (self->state != STATE_WELCOME)
        return rmt_fail(error, RMT_E_UNAVAILABLE,
                        "no broker has answered this program's HELLO yet");
    return rmt_socket_send(self->socket, NULL, msg, false, error);
}

zsock_t *
rmt_peer_socket(rmt_peer_t *self)
{
    assert(self);
    return self->socket;
}

bool
rmt_peer_is_welcome(const rmt_peer_t *self)
{
    assert(self);
    return self->state == STATE_WELCOME;
}

const rmt_error_t *
rmt_peer_trouble(const rmt_peer_t *self)
{
    assert(self);
    return &self->trouble;
}

const char *
rmt_peer_host(const rmt_peer_t *self)
{
    assert(self);
    return self->host;
}
