#include "net/rmt_enrol.h"
#include "facts/rmt_endpoint.h"
#include "base/rmt_auto.h"
#include "base/rmt_random.h"
#include "base/rmt_failpoint.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_signals.h"
#include "net/rmt_socket.h"

#include <assert.h>
#include <czmq.h>
#include <stdio.h>
#include <string.h>

#define SLICE_MS 1000
#define ANSWER_MS 10000 // For one broker's answer
#define AGAIN_MS 5000   // Between two questions while the key is pending

typedef struct {
    const rmt_enrol_config_t *config;
    rmt_msg_t *msg;      // The ENROL
    int64_t deadline_ms; // 0: none
    int signals;         // -1: they are not looked at
    bool is_pending;
    rmt_error_t last; // Why it is not done yet
} s_enrol_t;

// 0: go on. -1: time is over, or a signal came.
static int
s_look(const s_enrol_t *self, rmt_error_t *error)
{
    const rmt_enrol_config_t *config = self->config;
    if (self->signals != -1 && rmt_signals_read(self->signals))
        return rmt_fail(error, RMT_E_CANCELLED, "the program was asked to stop");
    if (config->told)
        config->told(config->context, self->is_pending, self->last.text);
    if (self->deadline_ms && rmt_clock_ms() >= self->deadline_ms) {
        *error = self->last;
        error->code = RMT_E_UNAVAILABLE;
        return rmt_wrap(error, "enrolment");
    }
    return 0;
}

static int
s_pause(const s_enrol_t *self, int64_t pause_ms, rmt_error_t *error)
{
    for (int64_t left = pause_ms; left > 0; left -= SLICE_MS) {
        if (s_look(self, error) == -1)
            return -1;
        zclock_sleep((int) (left < SLICE_MS ? left : SLICE_MS));
    }
    return s_look(self, error);
}

// The broker's ENROLLED, or NULL; -1 in *rc_out when the caller has to leave.
static rmt_msg_t *
s_wait_answer(s_enrol_t *self, zsock_t *socket, zsock_t *watcher, const char *address,
              int *rc_out, rmt_error_t *error)
{
    rmt_auto(zpoller) poller = zpoller_new(socket, NULL);
    zpoller_set_nonstop(poller, true);
    const int64_t until_ms = rmt_clock_ms() + ANSWER_MS;
    *rc_out = 0;
    while (rmt_clock_ms() < until_ms) {
        (void) zpoller_wait(poller, SLICE_MS);
        rmt_packet_t packet = {0};
        rmt_msg_t *msg = NULL;
        (void) rmt_socket_watch(watcher, address, &self->last);
        if (rmt_socket_recv(socket, &packet, &self->last) == 1)
            msg = rmt_take(&packet.msg);
        rmt_packet_clear(&packet);
        if (msg && (msg->kind == RMT_MSG_ENROLLED || msg->kind == RMT_MSG_REFUSED))
            return msg;
        rmt_msg_destroy(&msg);
        *rc_out = s_look(self, error);
        if (*rc_out == -1)
            return NULL;
    }
    return NULL;
}

// What an answer means. 1: approved; 0: not yet; -1: never.
static int
s_judge(s_enrol_t *self, rmt_msg_t *msg, rmt_record_t **answer_out, rmt_error_t *error)
{
    const rmt_code_t code = rmt_code_from(msg->code);
    rmt_fail(&self->last, code, "%s", msg->text ? msg->text : rmt_code_name(code));
    if (code == RMT_E_OK && msg->kind == RMT_MSG_ENROLLED) {
        *answer_out = rmt_take(&msg->body);
        return 1;
    }
    self->is_pending = code == RMT_E_UNAVAILABLE;
    if (self->is_pending || code == RMT_E_BUSY || code == RMT_E_TIMEOUT)
        return 0;
    *error = self->last;
    return -1;
}

// Ask one broker once. 1: approved; 0: not yet; -1: never, or the caller's end.
static int
s_ask(s_enrol_t *self, const char *broker, rmt_record_t **answer_out, rmt_error_t *error)
{
    rmt_auto_str address = rmt_endpoint_broker(broker, RMT_PORT_ENROL, error);
    if (!address)
        return -1;
    self->is_pending = false;
    rmt_fail(&self->last, RMT_E_UNAVAILABLE, "the broker at %s does not answer", address);
    zsock_t *watcher = NULL;
    zsock_t *socket =
        rmt_socket_new_watched(RMT_SOCKET_CONTROL_CLIENT, address, self->config->own,
                               self->config->broker_key, &watcher, error);
    if (!socket)
        return -1;
    int rc = 0;
    rmt_auto(rmt_msg) msg = NULL;
    if (rmt_socket_send(socket, NULL, self->msg, false, error) == 0)
        msg = s_wait_answer(self, socket, watcher, address, &rc, error);
    else if (error->code != RMT_E_UNAVAILABLE)
        rc = -1;
    rmt_socket_close_watched(&socket, &watcher);
    if (!msg)
        return rc;
    rc = s_judge(self, msg, answer_out, error);
    return rc == -1 ? rmt_wrap(error, "enrol at broker %s", address) : rc;
}

int
rmt_enrol(const rmt_enrol_config_t *config, rmt_record_t **answer_out, rmt_error_t *error)
{
    assert(config->brokers && config->token && config->own && config->broker_key);
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_ENROL);
    if (config->nonce)
        memcpy(msg->nonce, config->nonce, RMT_UID_SIZE);
    else
        rmt_random_bytes(msg->nonce, RMT_UID_SIZE);
    rmt_msg_text(&msg->token, config->token);
    if (config->body)
        rmt_record_merge(rmt_msg_body(msg), config->body);
    rmt_record_set(rmt_msg_body(msg), "key", config->own->public_text);
    rmt_auto_fd signals = config->by_signals ? rmt_signals_open(error) : -1;
    if (config->by_signals && signals == -1)
        return -1;
    s_enrol_t self = {.config = config, .msg = msg, .signals = signals};
    self.deadline_ms = config->timeout_ms ? rmt_clock_ms() + config->timeout_ms : 0;
    if (!config->brokers[0])
        return rmt_fail(error, RMT_E_USAGE,
                        "the setting brokers is empty; name a broker such as 10.0.0.1");
    while (true) {
        for (size_t i = 0; config->brokers[i]; i++) {
            const int rc = s_ask(&self, config->brokers[i], answer_out, error);
            if (rc != 0)
                return rc == 1 ? 0 : -1;
            // A broker that keeps us waiting knows us; the next one says the same.
            if (self.is_pending)
                break;
        }
        if (s_pause(&self, self.is_pending ? AGAIN_MS : SLICE_MS, error) == -1)
            return -1;
    }
}

int
rmt_enrol_find(const rmt_enrol_config_t *config, const char *path, rmt_key_t *own_out,
               rmt_record_t **answer_out, rmt_error_t *error)
{
    rmt_key_t own;
    *answer_out = NULL;
    if (rmt_key_load(own_out, path, error) == 0)
        return 0;
    if (error->code != RMT_E_NOT_FOUND)
        return -1;
    if (!config->token || !*config->token)
        return rmt_fail(error, RMT_E_CONFIG,
                        "the key file %s is missing, and no token is set to enrol a new "
                        "key; make one with: ramet key token ROLE",
                        path);
    rmt_auto_str pending = rmt_text("%s.pending", path);
    if (rmt_key_load(&own, pending, error) == -1 &&
        (error->code != RMT_E_NOT_FOUND || rmt_key_new(&own, error) == -1 ||
         rmt_key_save(&own, pending, error) == -1))
        return -1;
    rmt_enrol_config_t asked = *config;
    asked.own = &own;
    rmt_auto(rmt_record) answer = NULL;
    if (rmt_enrol(&asked, &answer, error) == -1)
        return rmt_wrap(error, "enrol");
    if (RMT_FAILPOINT("enrol.rename") == -1 || rename(pending, path) == -1)
        return rmt_fail_errno(error, "rename %s", pending);
    if (rmt_io_sync_parent(path, error) == -1)
        return -1;
    *own_out = own;
    *answer_out = rmt_take(&answer);
    return 0;
}
