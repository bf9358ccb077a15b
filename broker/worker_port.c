#include "broker/worker_port.h"

#include "broker/clocks.h"
#include "broker/events.h"
#include "broker/guard.h"
#include "broker/keyring.h"
#include "broker/peers.h"
#include "broker/quota.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "broker/tasks.h"
#include "broker/ask.h"
#include "broker/worker_msgs.h"

#define BATCH 256

void
rmt_worker_port_presence(rmt_broker_t *broker)
{
    rmt_roster_t *roster = broker->roster;
    const int64_t now = rmt_clock_ms();
    rmt_roster_expire(roster);
    rmt_tasks_expire(broker);
    if (rmt_roster_count(roster) == 0)
        return;
    rmt_auto(rmt_records) items = rmt_records_new();
    for (rmt_member_t *member = rmt_roster_first(roster); member;
         member = rmt_roster_next(roster)) {
        rmt_auto_str services = rmt_member_services(member);
        rmt_record_t *item = rmt_records_add(items);
        rmt_record_set(item, "key", member->key);
        rmt_record_set(item, "role", member->role);
        rmt_record_set(item, "name", member->name);
        rmt_record_set(item, "services", services);
        rmt_record_set_u64(item, "silent-ms", (uint64_t) (now - member->heard_at));
    }
    const rmt_call_t call = {"presence", NULL, NULL, items};
    rmt_state_call(broker->state, &call, NULL, NULL);
}

// ---- HELLO

// What a role may offer: verb@place, or verb@role/name.
static const struct {
    const char *role, *verb;
    bool is_own; // Only of its own machine, else of its place
} s_services[] = {
    {"imager", "receive", false},    {"imager", "commit", false},
    {"imager", "package", false},    {"imager", "check", false},
    {"imager", "scrub", false},      {"imager", "gc", false},
    {"imager", "verify", false},     {"installer", "match", false},
    {"installer", "build", false},   {"installer", "order", false},
    {"installer", "netboot", false}, {"installer", "power", false},
    {"installer", "wake", false},    {"installer", "check", false},
    {"installer", "scrub", false},   {"installer", "gc", false},
    {"installer", "verify", false},  {"source", "capture", true},
    {"source", "survey", true},      {"source", "compare", true},
    {"target", "prepare", true},     {"target", "write", true},
    {"target", "reboot", true},      {"target", "compare", true},
};
#define SERVICES (sizeof s_services / sizeof *s_services)

static bool
s_may_offer(const rmt_record_t *key, const char *service)
{
    const char *role = rmt_record_text(key, "role", "");
    for (size_t i = 0; i < SERVICES; i++) {
        if (!streq(s_services[i].role, role))
            continue;
        rmt_auto_str allowed = s_services[i].is_own
                                   ? rmt_text("%s@%s/%s", s_services[i].verb, role,
                                              rmt_record_text(key, "name", ""))
                                   : rmt_text("%s@%s", s_services[i].verb,
                                              rmt_record_text(key, "place", ""));
        if (streq(allowed, service))
            return true;
    }
    return false;
}

static bool
s_knows(const char *service)
{
    const size_t size = strcspn(service, "@");
    for (size_t i = 0; i < SERVICES; i++)
        if (strlen(s_services[i].verb) == size &&
            strncmp(s_services[i].verb, service, size) == 0)
            return true;
    return false;
}

// A worker of the next version may offer more than this version knows and asks for.
static void
s_leave_out_unknown(rmt_msg_t *msg)
{
    rmt_auto(rmt_records) all = rmt_take(&msg->items);
    msg->items = rmt_records_new();
    for (size_t i = 0; all && i < rmt_records_count(all); i++) {
        rmt_record_t *item = rmt_record_dup(rmt_records_at(all, i));
        if (s_knows(rmt_record_text(item, "service", "")))
            (void) rmt_records_append(msg->items, &item);
        rmt_record_destroy(&item);
    }
}

static void
s_refused(rmt_broker_t *broker, const rmt_packet_t *packet, zsock_t *port,
          rmt_code_t code, const char *text)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_REFUSED);
    msg->code = code;
    rmt_msg_text(&msg->text, text);
    const rmt_guard_to_t to = {port, packet->route, packet->user, &packet->origin, NULL};
    (void) rmt_guard_send(broker, &to, msg, &error);
}

void
rmt_worker_port_end(rmt_broker_t *broker, const char *key)
{
    const rmt_member_t *member = rmt_roster_find(broker->roster, key);
    if (!member)
        return;
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_REFUSED);
    msg->code = RMT_E_NOT_ALLOWED;
    rmt_msg_text(&msg->text, RMT_BROKER_NO_KEY);
    rmt_member_send(member, msg);
    rmt_log(RMT_INFO, "peer.ended", "role=%s name=%s", member->role, member->name);
    rmt_roster_drop(broker->roster, key);
}

// What a HELLO may be; a machine with its hardware takes a tenth of it.
static bool
s_check_size(const rmt_packet_t *packet, rmt_error_t *error)
{
    const rmt_msg_t *msg = packet->msg;
    const size_t services = msg->items ? rmt_records_count(msg->items) : 0;
    const size_t hand = msg->hand ? rmt_records_count(msg->hand) : 0;
    if (packet->size <= RMT_HELLO_SIZE_MAX && services <= RMT_HELLO_SERVICES_MAX &&
        hand <= RMT_HELLO_HAND_MAX)
        return true;
    return rmt_fail(error, RMT_E_TOO_BIG,
                    "a HELLO of %zu bytes with %zu services and %zu tasks; it may have "
                    "%zu, %d and %d",
                    packet->size, services, hand, RMT_HELLO_SIZE_MAX,
                    RMT_HELLO_SERVICES_MAX, RMT_HELLO_HAND_MAX) == 0;
}

static bool
s_check_hello(const rmt_record_t *key, const rmt_msg_t *msg, rmt_error_t *error)
{
    if (msg->version_min > RMT_WIRE_VERSION || msg->version_max < RMT_WIRE_VERSION)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "this broker speaks version %d of the protocol; install one "
                        "version of ramet on both",
                        RMT_WIRE_VERSION) == 0;
    const char *role = rmt_record_text(key, "role", "");
    if (!streq(msg->role ? msg->role : "", role))
        return rmt_fail(error, RMT_E_NOT_ALLOWED,
                        "this key has role %s, and its worker claims another", role) == 0;
    for (size_t i = 0; msg->items && i < rmt_records_count(msg->items); i++) {
        const char *service =
            rmt_record_text(rmt_records_at(msg->items, i), "service", "");
        if (s_knows(service) && !s_may_offer(key, service))
            return rmt_fail(error, RMT_E_NOT_ALLOWED, "this key may not offer %.128s",
                            service) == 0;
    }
    return true;
}

static void
s_on_hello(void *context, rmt_msg_t *reply)
{
    rmt_asked_t *asked = context;
    rmt_member_t *member = rmt_asked_member(asked, reply);
    if (member && reply->code == RMT_E_OK) {
        member->is_ready = true;
        for (size_t i = 0; i < rmt_records_count(reply->items); i++) {
            const rmt_record_t *item = rmt_records_at(reply->items, i);
            if (!rmt_record_has(item, "gone")) {
                rmt_roster_fly(asked->broker->roster, member->key, item);
                continue;
            }
            rmt_worker_msgs_gone(asked->broker, member, RMT_MSG_HELLO, item);
        }
        rmt_tasks_feed(asked->broker, member);
        rmt_events_tail(asked->broker->events);
    } else if (member) {
        rmt_roster_drop(asked->broker->roster, asked->key); // It is asked to greet again
    }
    rmt_asked_destroy(&asked);
}

static void
s_greet(rmt_broker_t *broker, zsock_t *port, const rmt_record_t *key,
        rmt_packet_t *packet)
{
    rmt_msg_t *msg = packet->msg;
    rmt_error_t error = {0};
    if (!rmt_broker_is_open(broker)) {
        s_refused(broker, packet, port, RMT_E_UNAVAILABLE, RMT_BROKER_NOT_OPEN);
        return;
    }
    if (!s_check_size(packet, &error) || !s_check_hello(key, msg, &error)) {
        s_refused(broker, packet, port, error.code, error.text);
        rmt_guard_refuse(broker, packet->user, &packet->origin, "hello", error.text);
        return;
    }
    if (!rmt_quota_greet(broker->quota, packet->user, rmt_clock_ms())) {
        const char *text =
            "this HELLO came too soon after the last ones; say it again in a second";
        s_refused(broker, packet, port, RMT_E_BUSY, text);
        rmt_guard_strike(broker, packet->user, &packet->origin);
        return;
    }
    s_leave_out_unknown(msg);
    rmt_member_t *member = rmt_roster_greet(broker->roster, key, port, packet);
    member->broker = broker;
    rmt_uid_text(msg->nonce, member->nonce);
    rmt_auto(rmt_msg) welcome = rmt_msg_new(RMT_MSG_WELCOME);
    welcome->version = RMT_WIRE_VERSION;
    welcome->era = broker->era;
    welcome->beat_ms = broker->settings->beat_ms;
    rmt_record_set(rmt_msg_body(welcome), "name", member->name);
    rmt_member_send(member, welcome);
    rmt_peers_welcome(broker, member);
    rmt_log(RMT_INFO, "peer.hello", "role=%s name=%s", member->role, member->name);

    rmt_auto(rmt_record) meta = rmt_member_meta(member);
    rmt_auto_str services = rmt_member_services(member);
    rmt_record_t *body = rmt_msg_body(msg);
    rmt_record_set(body, "nonce", member->nonce);
    rmt_record_set(body, "greeting", member->greeting);
    rmt_record_set(body, "services", services);
    rmt_clocks_look(member, body);
    rmt_record_set_u64(body, "lease-ms", broker->settings->lease_ms);
    const rmt_call_t call = {"peer_hello", meta, body, msg->hand};
    rmt_state_call(broker->state, &call, s_on_hello, rmt_asked_new(broker, member, ""));
}

// ---- Messages

static void
s_take_msg(rmt_broker_t *broker, zsock_t *port, const rmt_record_t *key,
           rmt_packet_t *packet)
{
    rmt_msg_t *msg = packet->msg;
    if (msg->kind == RMT_MSG_HELLO) {
        s_greet(broker, port, key, packet);
        return;
    }
    // A first boot offers nothing, so it asks without greeting.
    if (msg->kind == RMT_MSG_REQUEST && rmt_record_is(key, "role", "firstboot")) {
        rmt_ask_answer(broker, port, key, packet);
        return;
    }
    rmt_member_t *member = rmt_roster_find(broker->roster, packet->user);
    const bool is_to_greet = member && member->may_miss && rmt_broker_is_open(broker);
    if (!member || is_to_greet || !zframe_eq(member->route, packet->route)) {
        s_refused(broker, packet, port, RMT_E_NOT_FOUND,
                  "a worker must send HELLO first");
        return;
    }
    member->heard_at = rmt_clock_ms();
    switch (msg->kind) {
    case RMT_MSG_BEAT:
        rmt_worker_msgs_beat(broker, member, msg);
        break;
    case RMT_MSG_CREDIT:
        rmt_worker_msgs_credit(broker, member, msg);
        break;
    case RMT_MSG_PROGRESS:
        rmt_worker_msgs_progress(broker, member, msg);
        break;
    case RMT_MSG_RESULT:
        rmt_worker_msgs_result(broker, member, msg);
        break;
    case RMT_MSG_REQUEST:
        rmt_ask_answer(broker, port, key, packet);
        break;
    default:
        rmt_guard_refuse(broker, packet->user, &packet->origin,
                         rmt_msg_kind_name(msg->kind),
                         "a worker may not send this message");
    }
}

static void
s_take_packet(rmt_broker_t *broker, rmt_port_t port, rmt_packet_t *packet)
{
    zsock_t *socket = broker->ports[port];
    const rmt_record_t *key = rmt_keyring_find(broker->keyring, packet->user);
    if (key) {
        s_take_msg(broker, socket, key, packet);
    } else if (!rmt_broker_is_open(broker)) {
        s_refused(broker, packet, socket, RMT_E_UNAVAILABLE, RMT_BROKER_NOT_OPEN);
    } else {
        rmt_roster_drop(broker->roster, packet->user);
        s_refused(broker, packet, socket, RMT_E_NOT_ALLOWED, RMT_BROKER_NO_KEY);
        rmt_guard_refuse_key(broker, port, packet);
    }
}

static void
s_refuse_busy(rmt_broker_t *broker, zsock_t *port, rmt_packet_t *packet, const char *text)
{
    if (packet->msg->kind == RMT_MSG_REQUEST)
        rmt_ask_refuse(broker, port, packet, RMT_E_BUSY, text);
    else
        s_refused(broker, packet, port, RMT_E_BUSY, text);
}

void
rmt_worker_port_handle(rmt_broker_t *broker, rmt_port_t port)
{
    rmt_packet_t packet = {0};
    rmt_error_t error = {0};
    const int64_t until = rmt_clock_ms() + RMT_TURN_MS;
    for (int i = 0; i < BATCH && rmt_clock_ms() < until; i++) {
        const int rc = rmt_socket_recv(broker->ports[port], &packet, &error);
        if (rc == 0)
            break;
        const char *busy;
        const bool is_heard = rmt_guard_admits(broker, port, &packet, &busy);
        if (busy)
            s_refuse_busy(broker, broker->ports[port], &packet, busy);
        else if (is_heard && rc == -1)
            rmt_guard_refuse(broker, packet.user, &packet.origin, "message", error.text);
        else if (is_heard)
            s_take_packet(broker, port, &packet);
    }
    rmt_packet_clear(&packet);
}
