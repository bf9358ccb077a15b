#include "confirm.h"
#include "rmt_auto.h"
#include "rmt_clock.h"
#include "rmt_id.h"
#include "rmt_log.h"
#include "rmt_peer.h"
#include "rmt_signals.h"

#include <poll.h>
#include <signal.h>
#include <string.h>

#define REPEAT_MS 5000
#define REPEAT_MAX_MS 30000

typedef struct {
    const rmt_confirm_config_t *config;
    rmt_peer_t *peer;
    uint8_t nonce[RMT_UID_SIZE];
    uint8_t idempotency[RMT_UID_SIZE]; // However often it travels, it counts once
    int64_t ask_at_ms;
    int64_t repeat_ms;
    bool answered;
} confirm_t;

static rmt_msg_t *
s_hello(void *context)
{
    confirm_t *self = context;
    rmt_msg_t *msg = rmt_msg_new(RMT_MSG_HELLO);
    msg->version_min = msg->version_max = RMT_WIRE_VERSION;
    rmt_msg_text(&msg->role, "firstboot");
    rmt_msg_text(&msg->name, self->config->name);
    memcpy(msg->nonce, self->nonce, sizeof msg->nonce);
    (void) rmt_msg_body(msg);
    return msg;
}

static void
s_ask(confirm_t *self, const rmt_record_t *body)
{
    const int64_t now_ms = rmt_clock_ms();
    if (!rmt_peer_is_welcome(self->peer) || now_ms < self->ask_at_ms)
        return;
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_REQUEST);
    msg->sequence = 1;
    memcpy(msg->idempotency, self->idempotency, sizeof msg->idempotency);
    rmt_msg_text(&msg->verb, "target.confirm");
    rmt_record_merge(rmt_msg_body(msg), body);
    rmt_error_t error = { 0 };
    // Not sent is the same as not answered: it is repeated.
    if (rmt_peer_send(self->peer, msg, &error) == -1)
        rmt_log(RMT_WARN, "confirm.wait", "error=\"%s\"", error.text);
    self->ask_at_ms = now_ms + self->repeat_ms;
    if (self->repeat_ms < REPEAT_MAX_MS)
        self->repeat_ms += REPEAT_MS;
}

// Codes that say "later" leave the question open.
static int
s_handle(confirm_t *self, const rmt_msg_t *msg, rmt_error_t *error)
{
    if (msg->kind == RMT_MSG_WELCOME)
        self->ask_at_ms = 0;
    if (msg->kind != RMT_MSG_REPLY && msg->kind != RMT_MSG_REFUSED)
        return 0;
    const rmt_code_t code = rmt_code_from(msg->code);
    const char *text = msg->text ? msg->text : "";
    if (msg->kind == RMT_MSG_REPLY && code == RMT_OK) {
        self->answered = true;
        return 0;
    }
    if (msg->kind == RMT_MSG_REFUSED || code == RMT_E_UNAVAILABLE || code == RMT_E_TIMEOUT
        || code == RMT_E_IO || code == RMT_E_INTERNAL) {
        rmt_log(RMT_WARN, "confirm.later", "code=%s text=\"%s\"", rmt_code_name(code), text);
        return 0;
    }
    return rmt_fail(error, code, "the broker refused the report: %s", text);
}

static int
s_step(confirm_t *self, int signals, rmt_error_t *error)
{
    const int wait_ms = rmt_peer_tick(self->peer);
    zsock_t *socket = rmt_peer_socket(self->peer);
    zmq_pollitem_t items[2] = { { .fd = signals, .events = ZMQ_POLLIN },
                                { .socket = socket ? zsock_resolve(socket) : NULL,
                                  .events = ZMQ_POLLIN } };
    (void) zmq_poll(items, socket ? 2 : 1, wait_ms);
    const int number = rmt_signals_read(signals);
    if (number == SIGTERM || number == SIGINT)
        return rmt_fail(error, RMT_E_CANCELLED, "ended by signal %d before a broker answered",
                        number);
    rmt_msg_t *msg;
    while (!self->answered && (msg = rmt_peer_recv(self->peer))) {
        const int rc = s_handle(self, msg, error);
        rmt_msg_destroy(&msg);
        if (rc == -1)
            return -1;
    }
    return 0;
}

int
rmt_confirm_run(const rmt_confirm_config_t *config, const rmt_record_t *body,
                rmt_error_t *error)
{
    rmt_auto_fd signals = rmt_signals_open(error);
    if (signals == -1)
        return -1;
    confirm_t self = { .config = config, .repeat_ms = REPEAT_MS };
    rmt_random(self.nonce, sizeof self.nonce);
    rmt_random(self.idempotency, sizeof self.idempotency);
    rmt_peer_config_t peer_config = { .brokers = config->brokers,
                                      .own = config->own,
                                      .broker_key = config->broker_key,
                                      .hello = s_hello,
                                      .context = &self };
    rmt_auto(rmt_peer) peer = rmt_peer_new(&peer_config, error);
    if (!peer)
        return -1;
    self.peer = peer;
    while (!self.answered) {
        s_ask(&self, body);
        if (s_step(&self, signals, error) == -1)
            return -1;
    }
    return 0;
}
