#include "broker/guard.h"

#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "broker/keyring.h"
#include "broker/quota.h"

#define UNIT_SIZE 4096 // A message costs one unit, and one more for each so many octets
#define MUTES_MAX 2    // So many mutes hold the machine
#define RATE_TEXT "this key asks more often than it may; try again in a moment"

// Far more than a program of ramet sends: a worker tells of 1,000 tasks twice a second.
static const rmt_quota_rate_t s_rates[] = {
    [RMT_PORT_AGENTS] = {200, 1000},
    [RMT_PORT_WORKERS] = {5000, 20000},
    [RMT_PORT_CONSOLE] = {2000, 4000},
};
static const rmt_quota_rate_t s_admin_rate = {20000, 40000};
// A program of ramet has one connection to each port that it uses; of consoles several
// run at once, and connections of a machine that lost its power stay for a minute.
static const size_t s_connections_max[] = {
    [RMT_PORT_AGENTS] = 4,
    [RMT_PORT_WORKERS] = 4,
    [RMT_PORT_CONSOLE] = 16,
    [RMT_PORT_EVENTS] = 16,
};
#define ADMIN_CONNECTIONS_MAX 64

static bool
s_is_admin(const rmt_broker_t *broker, const char *user)
{
    const rmt_record_t *key = rmt_keyring_find(broker->keyring, user);
    return key && rmt_record_is(key, "role", "admin");
}

char *
rmt_guard_lane(const rmt_broker_t *broker, const rmt_packet_t *packet,
               char name[RMT_LANE_NAME_SIZE])
{
    if (s_is_admin(broker, packet->user))
        snprintf(name, RMT_LANE_NAME_SIZE, "%s %d", packet->user, packet->origin.fd);
    else
        snprintf(name, RMT_LANE_NAME_SIZE, "%s", packet->user);
    return name;
}

// ---- Strikes

static void
s_hold(rmt_broker_t *broker, const rmt_record_t *key)
{
    const char *name = rmt_record_text(key, "name", "");
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "name", name);
    rmt_record_setf(body, "reason",
                    "the key of this machine flooded the broker, was muted, and did it "
                    "again; look at the machine, then: ramet target unhold %s",
                    name);
    rmt_broker_call(broker, "target_hold", body, NULL, NULL);
}

static void
s_mute(rmt_broker_t *broker, const char *user, const rmt_origin_t *origin, unsigned times)
{
    const rmt_record_t *key = rmt_keyring_find(broker->keyring, user);
    const char *role = key ? rmt_record_text(key, "role", "") : "";
    const char *name = key ? rmt_record_text(key, "name", "") : "";
    rmt_log(RMT_WARN, "peer.muted", "key=%s role=%s name=%s times=%u seconds=%u", user,
            role, name, times, broker->settings->mute_s);
    rmt_zap_mute(broker->zap, user, (int64_t) broker->settings->mute_s * 1000);
    rmt_origin_cut(origin);
    for (int port = RMT_PORT_AGENTS; port <= RMT_PORT_EVENTS; port++)
        rmt_connections_end(broker->connections[port], user); // As a member it is silent
    rmt_auto_str text =
        rmt_text("the key of %s %s had more than %d strikes; the broker "
                 "does not hear it for %u s",
                 role, name, RMT_QUOTA_STRIKES_MAX, broker->settings->mute_s);
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "what", "peer.muted");
    rmt_record_set(body, "key", user);
    rmt_record_set(body, "text", text);
    if (streq(role, "target"))
        rmt_record_set(body, "target", name);
    rmt_broker_call(broker, "audit_append", body, NULL, NULL);
    if (streq(role, "target") && times >= MUTES_MAX)
        s_hold(broker, key);
}

void
rmt_guard_strike(rmt_broker_t *broker, const char *user, const rmt_origin_t *origin)
{
    if (s_is_admin(broker, user))
        return;
    const unsigned times = rmt_quota_strike(broker->quota, user, rmt_clock_ms());
    if (times > 0)
        s_mute(broker, user, origin, times);
}

void
rmt_guard_refuse(rmt_broker_t *broker, const char *user, const rmt_origin_t *origin,
                 const char *act, const char *why)
{
    rmt_broker_refuse(broker, user, origin->address, act, why);
    rmt_guard_strike(broker, user, origin);
}

// ---- At the port

rmt_connection_t *
rmt_guard_connection(rmt_broker_t *broker, rmt_port_t port, const char *user,
                     const rmt_origin_t *origin)
{
    const size_t max =
        s_is_admin(broker, user) ? ADMIN_CONNECTIONS_MAX : s_connections_max[port];
    return rmt_connections_require(broker->connections[port], user, origin, max);
}

static bool
s_is_within_rate(rmt_broker_t *broker, rmt_port_t port, const rmt_packet_t *packet)
{
    char lane[RMT_LANE_NAME_SIZE];
    const uint32_t units = 1 + (uint32_t) (packet->size / UNIT_SIZE);
    const rmt_quota_rate_t rate =
        s_is_admin(broker, packet->user) ? s_admin_rate : s_rates[port];
    return rmt_quota_use(broker->quota, rmt_guard_lane(broker, packet, lane), rate, units,
                         rmt_clock_ms());
}

bool
rmt_guard_admits(rmt_broker_t *broker, rmt_port_t port, const rmt_packet_t *packet,
                 const char **busy_out)
{
    const rmt_origin_t *origin = &packet->origin;
    rmt_inflow_heard(broker->inflow, origin);
    const bool is_request = packet->msg && packet->msg->kind == RMT_MSG_REQUEST;
    *busy_out = NULL;
    if (rmt_quota_is_muted(broker->quota, packet->user, rmt_clock_ms())) {
        rmt_origin_cut(origin); // It was under way
        return false;
    }
    if (!s_is_within_rate(broker, port, packet)) {
        rmt_guard_strike(broker, packet->user, origin);
        *busy_out = is_request ? RATE_TEXT : NULL;
        return false;
    }
    if (origin->fd == -1 || rmt_guard_connection(broker, port, packet->user, origin))
        return true;
    *busy_out = packet->msg ? RMT_GUARD_CONNECTIONS : NULL;
    return false;
}

void
rmt_guard_refuse_key(rmt_broker_t *broker, rmt_port_t port, const rmt_packet_t *packet)
{
    const rmt_origin_t *origin = &packet->origin;
    rmt_connection_t *connection =
        origin->fd == -1 ? NULL
                         : rmt_guard_connection(broker, port, packet->user, origin);
    const bool was_told = connection && connection->is_refused;
    if (connection)
        connection->is_refused = true;
    rmt_guard_refuse(broker, packet->user, origin, rmt_msg_kind_name(packet->msg->kind),
                     "the key may not act");
    if (was_told)
        rmt_origin_cut(origin);
}

// ---- Sending

int
rmt_guard_send(rmt_broker_t *broker, const rmt_guard_to_t *to, const rmt_msg_t *msg,
               rmt_error_t *error)
{
    const int rc = to->unsent
                       ? rmt_socket_reply(to->port, to->route, msg, to->unsent, error)
                       : rmt_socket_send(to->port, to->route, msg, false, error);
    if (rc == -1 && error->code == RMT_E_UNAVAILABLE)
        rmt_guard_cut(broker, to->user, to->origin, "it does not read what it is sent");
    return rc;
}

void
rmt_guard_cut(rmt_broker_t *broker, const char *user, const rmt_origin_t *origin,
              const char *why)
{
    if (rmt_fold_is_first(broker->fold, "peer.cut", user, rmt_clock_ms()))
        rmt_log(RMT_WARN, "peer.cut", "key=%s address=%s text=\"%s\"", user,
                origin->address, why);
    rmt_guard_strike(broker, user, origin);
    rmt_origin_cut(origin);
}

// ---- At the enrol port

bool
rmt_guard_admits_knock(rmt_broker_t *broker, const rmt_packet_t *packet)
{
    char network[RMT_ADDRESS_SIZE];
    rmt_inflow_heard(broker->inflow, &packet->origin);
    rmt_origin_network(packet->origin.address, network);
    if (!rmt_quota_is_muted(broker->callers, network, rmt_clock_ms()))
        return true;
    rmt_origin_cut(&packet->origin);
    return false;
}

void
rmt_guard_fail_knock(rmt_broker_t *broker, const rmt_origin_t *origin)
{
    char network[RMT_ADDRESS_SIZE];
    rmt_origin_network(origin->address, network);
    const int64_t now = rmt_clock_ms();
    if (!*network || rmt_quota_strike(broker->callers, network, now) == 0)
        return;
    rmt_zap_mute(broker->zap, network, (int64_t) broker->settings->mute_s * 1000);
    rmt_origin_cut(origin);
    if (rmt_fold_is_first(broker->fold, "enrol.locked", network, now))
        rmt_log(RMT_WARN, "enrol.locked", "address=%s seconds=%u", network,
                broker->settings->mute_s);
}
