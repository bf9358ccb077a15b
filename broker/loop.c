#include "broker/loop.h"

#include <inttypes.h>
#include <string.h>
#include "broker/audit.h"
#include "broker/console_port.h"
#include "broker/driver.h"
#include "broker/enrol_port.h"
#include "broker/events.h"
#include "broker/events_port.h"
#include "broker/keyring.h"
#include "broker/lanes.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "base/rmt_signals.h"
#include "machine/rmt_inventory.h"
#include "broker/quota.h"
#include "broker/roster.h"
#include "broker/saver.h"
#include "broker/tasks.h"
#include "broker/worker_port.h"

#define PRESENCE_MS 3000
#define KEYS_MAX 100000
#define ADDRESSES_MAX 4096

// ---- Redis comes and goes

static void
s_on_keys(rmt_broker_t *self)
{
    self->is_opening = false;
    self->up_at = rmt_clock_ms();
    rmt_zap_close_lists(self->zap);
    // First of all: Redis last heard of the peers before it went away.
    rmt_worker_port_presence(self);
    rmt_log(RMT_INFO, "broker.open", "era=%u", self->era);
}

// Redis is not the one that was known: keys and greetings count only as it has them.
static void
s_forget(rmt_broker_t *self)
{
    rmt_zap_open_lists(self->zap);
    rmt_keyring_forget(self->keyring);
    rmt_roster_clear(self->roster);
    rmt_events_forget_all(self->events);
}

static void
s_on_era(void *context, rmt_msg_t *reply)
{
    rmt_broker_t *self = context;
    rmt_error_t error = {0};
    if (reply->code == RMT_E_CANCELLED)
        return;
    if (reply->code != RMT_E_OK) {
        rmt_log(RMT_WARN, "era.unread", "text=\"%s\"", reply->text ? reply->text : "");
        self->is_opening = false;
        return;
    }
    rmt_state_hear_clock(self->state, rmt_record_u64(reply->body, "clock", 0));
    const bool is_raised = rmt_record_flag(reply->body, "raised");
    const uint32_t era = (uint32_t) rmt_record_u64(reply->body, "era", 1);
    // Not the era of now: the audit stream may have told of a new one meanwhile.
    const bool is_other = self->asked_era != 0 && era != self->asked_era;
    const uint32_t known_in = self->asked_era ? self->asked_era : self->file_era;
    const bool is_past = is_raised || (known_in != 0 && era != known_in);
    self->era = era;
    const char *last = rmt_record_text(reply->body, "last", "0-0");
    if (is_raised || is_other || !*self->audit)
        rmt_events_begin(self->events, last);
    if (is_past)
        self->known = (rmt_known_t){.id = "0-0"}; // What Redis has lost
    rmt_broker_know(self, last, rmt_record_text(reply->body, "moment", ""));
    if (is_raised)
        rmt_log(RMT_WARN, "era.raised", "era=%u text=\"%s\"", self->era,
                "Redis does not have the last entry that this broker has seen");
    if (is_other)
        s_forget(self);
    // The era stays known, so that another one makes the broker forget its keys.
    if (rmt_broker_save(self, &error) == -1) {
        rmt_log(RMT_ERROR, "state.unsaved", "text=\"%s\"", error.text);
        self->is_opening = false;
        return;
    }
    rmt_keyring_load(self->keyring, s_on_keys);
}

// The machine of a broker is never to be erased.
static void
s_tell_machine(const rmt_broker_t *self, rmt_record_t *body)
{
    rmt_auto_str identity = rmt_inventory_own_identity();
    rmt_broker_tell_name(self, body);
    if (identity)
        rmt_record_set(body, "identity", identity);
}

// What this broker has seen of the stream counts as well as its file. Its id is in the
// file before Redis has it: a broker that loses its id would be awaited for nothing.
static void
s_open(rmt_broker_t *self)
{
    rmt_error_t error = {0};
    if (!self->is_id_saved && rmt_broker_save(self, &error) == -1) {
        rmt_log(RMT_ERROR, "state.unsaved", "text=\"%s\"", error.text);
        return;
    }
    self->is_opening = true;
    self->asked_era = self->era;
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set_u64(body, "era", self->era ? self->era : self->file_era);
    rmt_record_set(body, "last", self->known.id);
    rmt_record_set(body, "moment", self->known.moment);
    rmt_record_set(body, "id", self->id);
    s_tell_machine(self, body);
    rmt_broker_call(self, "era_open", body, s_on_era, self);
}

static void
s_on_link(void *context, bool is_up, const char *address)
{
    rmt_broker_t *self = context;
    rmt_log(is_up ? RMT_INFO : RMT_WARN, is_up ? "redis.up" : "redis.down", "address=%s",
            address);
    self->up_at = 0;
    self->is_linked = is_up;
    self->away[0] = '\0';
    if (is_up)
        s_open(self);
}

static void
s_on_away(void *context, const char *text)
{
    rmt_broker_t *self = context;
    snprintf(self->away, sizeof self->away, "%s", text);
    rmt_log(RMT_WARN, "redis.away", "text=\"%s\"", text);
}

static void
s_on_ready(void *context, const char *service)
{
    rmt_broker_t *self = context;
    if (rmt_broker_is_open(self))
        rmt_tasks_wake(self, service);
}

// ---- What is done by the clock

static void
s_on_drive_list(void *context, rmt_msg_t *reply)
{
    rmt_broker_t *self = context;
    for (size_t i = 0; reply->code == RMT_E_OK && i < rmt_records_count(reply->items);
         i++)
        rmt_driver_drive(self->driver,
                         rmt_record_text(rmt_records_at(reply->items, i), "job", ""));
}

static void
s_on_queues(void *context, rmt_msg_t *reply)
{
    rmt_broker_t *self = context;
    for (size_t i = 0; reply->code == RMT_E_OK && i < rmt_records_count(reply->items);
         i++)
        rmt_tasks_wake(self,
                       rmt_record_text(rmt_records_at(reply->items, i), "service", ""));
}

static void
s_nobody(rmt_broker_t *broker, const rmt_record_t *claim, rmt_code_t code)
{
    (void) broker;
    (void) claim;
    (void) code; // The next scan finds it again if it was not recorded
}

static void
s_on_reap(void *context, rmt_msg_t *reply)
{
    rmt_broker_t *self = context;
    for (size_t i = 0; reply->code == RMT_E_OK && i < rmt_records_count(reply->items);
         i++) {
        rmt_record_t *claim = rmt_record_dup(rmt_records_at(reply->items, i));
        rmt_record_t *outputs = rmt_record_new();
        rmt_record_set_u64(claim, "code", RMT_E_TIMEOUT);
        rmt_driver_result(self->driver, &claim, &outputs, s_nobody);
    }
}

// The handshake alone sees connections with unknown keys.
static void
s_count_strangers(rmt_broker_t *self)
{
    const uint64_t count = rmt_zap_refused(self->zap) - self->tested;
    if (count == self->strangers)
        return;
    rmt_log(RMT_WARN, "handshake.refused", "count=%" PRIu64 " since-start=%" PRIu64,
            count - self->strangers, count);
    self->strangers = count;
}

static rmt_record_t *
s_limits(const rmt_broker_t *self)
{
    rmt_record_t *body = rmt_record_new();
    rmt_record_set_u64(body, "stuck-s", self->settings->stuck_s);
    rmt_record_set_u64(body, "silent-s", self->settings->silent_s);
    rmt_record_set_u64(body, "broker-wait-s", self->settings->broker_wait_s);
    return body;
}

static bool
s_is_due(const rmt_msg_t *reply, const char *kind)
{
    return rmt_record_u64(reply->body, kind, 0) > 0;
}

static void
s_on_scan(void *context, rmt_msg_t *reply)
{
    rmt_broker_t *self = context;
    if (reply->code != RMT_E_OK || !rmt_broker_is_open(self))
        return;
    rmt_state_hear_clock(self->state, rmt_record_u64(reply->body, "clock", 0));
    rmt_auto(rmt_record) body = s_limits(self);
    const char *newest = rmt_record_text(reply->body, "audit", "");
    if (!streq(newest, self->audit))
        rmt_events_tail(self->events);
    rmt_audit_tick(self->audit_files, newest);
    if (s_is_due(reply, "drive"))
        rmt_broker_call(self, "drive_list", NULL, s_on_drive_list, self);
    if (s_is_due(reply, "later"))
        rmt_broker_call(self, "job_due", NULL, NULL, NULL);
    if (s_is_due(reply, "queues"))
        rmt_broker_call(self, "queues", NULL, s_on_queues, self);
    // Peers need time to say HELLO after a restart of the broker or of Redis: those that
    // are there three beats, and those that search for a broker as long as it may take.
    const int64_t up_ms = rmt_clock_ms() - self->up_at;
    if (s_is_due(reply, "stuck") && up_ms >= 3 * (int64_t) self->settings->beat_ms)
        rmt_broker_call(self, "task_stuck", body, NULL, NULL);
    if (up_ms < self->settings->grace_ms)
        return;
    if (s_is_due(reply, "late"))
        rmt_broker_call(self, "task_reap", body, s_on_reap, self);
    if (s_is_due(reply, "boots"))
        rmt_broker_call(self, "boot_reap", NULL, NULL, NULL);
}

static void
s_scan(rmt_broker_t *self)
{
    s_count_strangers(self);
    if (!rmt_broker_is_open(self)) {
        if (self->is_linked && !self->is_opening)
            s_open(self); // Redis is there, but did not answer the last time
        return;
    }
    rmt_auto(rmt_record) body = s_limits(self);
    rmt_broker_tell_name(self, body);
    rmt_broker_call(self, "scan", body, s_on_scan, self);
}

static long
s_tick(rmt_broker_t *self)
{
    const int64_t now = rmt_clock_ms();
    if (now >= self->scan_at) {
        self->scan_at = now + self->settings->scan_ms;
        s_scan(self);
    }
    if (now >= self->presence_at) {
        self->presence_at = now + PRESENCE_MS;
        rmt_lanes_tick(self->lanes);
        rmt_quota_tick(self->quota, now);
        rmt_quota_tick(self->callers, now);
        rmt_broker_tick(self, now);
        for (int port = RMT_PORT_AGENTS; port <= RMT_PORT_EVENTS; port++)
            rmt_connections_tick(self->connections[port]);
        if (rmt_broker_is_open(self))
            rmt_worker_port_presence(self);
    }
    const int64_t due =
        self->scan_at < self->presence_at ? self->scan_at : self->presence_at;
    return due > now ? (long) (due - now) : 0;
}

// ---- Life

static const rmt_socket_kind_t s_kinds[] = {
    [RMT_PORT_ENROL] = RMT_SOCKET_BROKER_ENROL,
    [RMT_PORT_AGENTS] = RMT_SOCKET_BROKER_AGENTS,
    [RMT_PORT_WORKERS] = RMT_SOCKET_BROKER_WORKERS,
    [RMT_PORT_CONSOLE] = RMT_SOCKET_BROKER_CONSOLE,
    [RMT_PORT_EVENTS] = RMT_SOCKET_BROKER_EVENTS,
};

static void
s_on_flood(void *context, const char *address, const char *why)
{
    rmt_broker_t *self = context;
    if (rmt_fold_is_first(self->fold, "peer.cut", address, rmt_clock_ms()))
        rmt_log(RMT_WARN, "peer.cut", "key=%s address=%s text=\"it %s\"", "", address,
                why);
}

static int
s_bind(rmt_broker_t *self, rmt_error_t *error)
{
    for (int i = RMT_PORT_ENROL; i <= RMT_PORT_EVENTS; i++) {
        rmt_auto_str endpoint =
            rmt_text("%s:%d", self->settings->host, self->settings->port + i);
        self->ports[i] = rmt_socket_new_server(s_kinds[i], endpoint, &self->settings->own,
                                               self->settings->handshake_ms, error);
        if (!self->ports[i])
            return -1;
        rmt_inflow_add(self->inflow, (uint16_t) (self->settings->port + i), s_kinds[i]);
    }
    return 0;
}

static int
s_begin(rmt_broker_t *self, rmt_error_t *error)
{
    if (rmt_broker_load(self, error) == -1)
        return -1;
    self->zap = rmt_zap_new(error);
    if (!self->zap || rmt_zap_self_test(self->zap, error) == -1)
        return -1;
    self->tested = rmt_zap_refused(self->zap);
    rmt_zap_open_lists(self->zap); // Until Redis has told all keys
    rmt_zap_allow_any(self->zap, rmt_socket_domain(RMT_SOCKET_BROKER_ENROL));
    self->keyring = rmt_keyring_new(self);
    self->roster = rmt_roster_new();
    self->driver = rmt_driver_new(self);
    self->events = rmt_events_new(self);
    self->audit_files = rmt_audit_new(self);
    self->saver = rmt_saver_new(self);
    self->lanes = rmt_lanes_new();
    self->callers = rmt_quota_new(ADDRESSES_MAX, (int64_t) self->settings->mute_s * 1000);
    self->fold = rmt_fold_new();
    for (int port = RMT_PORT_AGENTS; port <= RMT_PORT_EVENTS; port++)
        self->connections[port] = rmt_connections_new();
    self->inflow = rmt_inflow_new(s_on_flood, self);
    self->quota = rmt_quota_new(KEYS_MAX, (int64_t) self->settings->mute_s * 1000);
    if (rmt_keyring_add_admins(self->keyring, error) == -1 || s_bind(self, error) == -1)
        return -1;
    const rmt_state_listener_t listener = {.on_link = s_on_link,
                                           .on_ready = s_on_ready,
                                           .on_away = s_on_away,
                                           .context = self};
    self->state = rmt_state_new(&self->settings->redis, &listener, error);
    return self->state ? 0 : -1;
}

rmt_broker_t *
rmt_broker_new(const rmt_settings_t *settings, rmt_error_t *error)
{
    rmt_broker_t *self = zmalloc(sizeof *self);
    self->settings = settings;
    if (s_begin(self, error) == -1)
        rmt_broker_destroy(&self);
    return self;
}

void
rmt_broker_destroy(rmt_broker_t **self_p)
{
    rmt_broker_t *self = *self_p;
    if (!self)
        return;
    rmt_state_destroy(&self->state); // First: it answers all calls, into what follows
    rmt_saver_destroy(&self->saver); // Likewise
    rmt_driver_destroy(&self->driver);
    rmt_events_destroy(&self->events);
    rmt_audit_destroy(&self->audit_files);
    rmt_lanes_destroy(&self->lanes);
    rmt_quota_destroy(&self->quota);
    rmt_quota_destroy(&self->callers);
    rmt_fold_destroy(&self->fold);
    for (int port = RMT_PORT_AGENTS; port <= RMT_PORT_EVENTS; port++)
        rmt_connections_destroy(&self->connections[port]);
    rmt_inflow_destroy(&self->inflow);
    rmt_roster_destroy(&self->roster);
    rmt_keyring_destroy(&self->keyring);
    for (int i = RMT_PORT_ENROL; i <= RMT_PORT_EVENTS; i++)
        zsock_destroy(&self->ports[i]);
    rmt_zap_destroy(&self->zap);
    free(self);
    *self_p = NULL;
}

long
rmt_broker_turn(rmt_broker_t *self)
{
    rmt_state_handle(self->state);
    rmt_enrol_port_handle(self);
    rmt_worker_port_handle(self, RMT_PORT_AGENTS);
    rmt_worker_port_handle(self, RMT_PORT_WORKERS);
    rmt_console_port_handle(self);
    rmt_events_port_handle(self);
    rmt_audit_handle(self->audit_files);
    rmt_saver_handle(self->saver);
    return s_tick(self);
}

int
rmt_broker_run(rmt_broker_t *self, int signals, rmt_error_t *error)
{
    enum {
        ITEM_SIGNAL,
        ITEM_STATE,
        ITEM_AUDIT,
        ITEM_SAVER,
        ITEM_PORTS,
        ITEM_COUNT = ITEM_PORTS + RMT_PORT_EVENTS + 1
    };
    zmq_pollitem_t items[ITEM_COUNT] = {
        [ITEM_SIGNAL] = {NULL, signals, ZMQ_POLLIN, 0},
        [ITEM_AUDIT] = {NULL, rmt_audit_fd(self->audit_files), ZMQ_POLLIN, 0},
        [ITEM_SAVER] = {NULL, rmt_saver_fd(self->saver), ZMQ_POLLIN, 0},
        [ITEM_STATE] = {zsock_resolve(rmt_state_socket(self->state)), 0, ZMQ_POLLIN, 0},
    };
    for (int i = 0; i <= RMT_PORT_EVENTS; i++)
        items[ITEM_PORTS + i] =
            (zmq_pollitem_t){zsock_resolve(self->ports[i]), 0, ZMQ_POLLIN, 0};
    for (;;) {
        const long due = rmt_broker_turn(self);
        const long look = rmt_inflow_tick(self->inflow, rmt_clock_ms());
        const long wait = due < look ? due : look;
        if (zmq_poll(items, ITEM_COUNT, wait) == -1 && errno != EINTR)
            return rmt_fail_errno(error, "poll");
        if (items[ITEM_SIGNAL].revents && rmt_signals_read(signals) > 0) {
            rmt_audit_stop(self->audit_files);
            return 0;
        }
    }
}
