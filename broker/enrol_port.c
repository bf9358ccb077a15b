#include "broker/enrol_port.h"

#include "broker/keyring.h"
#include "broker/events.h"
#include "broker/guard.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_log.h"
#include "facts/rmt_fields.h"

#define UNDER_WAY_MAX 256 // Anybody may knock; more at once are not heard

typedef struct {
    rmt_broker_t *broker;
    zframe_t *route;
    rmt_origin_t origin;
    uint64_t sequence;
    char user[RMT_USER_SIZE];
} knock_t;

static void
s_answer(rmt_broker_t *broker, zframe_t *route, const rmt_msg_t *reply)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_ENROLLED);
    msg->sequence = reply->sequence;
    msg->code = reply->code;
    rmt_msg_text(&msg->text, reply->text ? reply->text : "");
    rmt_record_t *body = rmt_msg_body(msg);
    if (reply->code == RMT_E_OK && reply->body)
        rmt_record_merge(body, reply->body);
    if (rmt_record_has(body, "pending")) {
        msg->code = RMT_E_UNAVAILABLE;
        rmt_msg_text(&msg->text, "waits for approval");
    }
    (void) rmt_socket_send(broker->ports[RMT_PORT_ENROL], route, msg, false, &error);
}

static void
s_tell(const knock_t *knock, const rmt_msg_t *reply)
{
    const char *address = knock->origin.address;
    const char *peer = reply->code == RMT_E_OK ? knock->user : address;
    if (rmt_fold_is_first(knock->broker->fold, "key.knocked", peer, rmt_clock_ms()))
        rmt_log(RMT_INFO, "key.knocked", "key=%s address=%s code=%s text=\"%s\"",
                knock->user, address, rmt_code_name(rmt_code_from(reply->code)),
                reply->text ? reply->text : "");
}

static void
s_on_reply(void *context, rmt_msg_t *reply)
{
    knock_t *knock = context;
    knock->broker->knocks--;
    if (reply->code != RMT_E_CANCELLED) {
        reply->sequence = knock->sequence;
        if (reply->code == RMT_E_OK && !rmt_record_has(reply->body, "pending")) {
            // The key is let in before it hears so, and its next step finds it.
            rmt_auto(rmt_record) record = rmt_record_dup(reply->body);
            rmt_record_set(record, "state", "approved");
            rmt_keyring_put(knock->broker->keyring, record);
        }
        s_answer(knock->broker, knock->route, reply);
        rmt_events_tail(knock->broker->events);
        s_tell(knock, reply);
        if (reply->code == RMT_E_NOT_ALLOWED)
            rmt_guard_fail_knock(knock->broker, &knock->origin);
    }
    zframe_destroy(&knock->route);
    free(knock);
}

static void
s_refuse(rmt_broker_t *broker, const rmt_packet_t *packet, rmt_code_t code,
         const char *text)
{
    rmt_auto(rmt_msg) reply = rmt_msg_new(RMT_MSG_REPLY);
    reply->code = code;
    reply->sequence = packet->msg->sequence;
    rmt_msg_text(&reply->text, text);
    s_answer(broker, packet->route, reply);
    if (code != RMT_E_BUSY)
        rmt_guard_fail_knock(broker, &packet->origin);
}

static void
s_knock(rmt_broker_t *broker, rmt_packet_t *packet)
{
    rmt_msg_t *msg = packet->msg;
    rmt_error_t error = {0};
    rmt_token_t token;
    const char *named = rmt_record_text(msg->body, "key", packet->user);
    if (!streq(named, packet->user)) {
        s_refuse(broker, packet, RMT_E_NOT_ALLOWED,
                 "the announced key differs from the connection's key");
        return;
    }
    if (rmt_token_parse(&token, msg->token ? msg->token : "", &error) == -1 ||
        !streq(token.broker_key, broker->settings->own.public_text)) {
        s_refuse(broker, packet, RMT_E_NOT_ALLOWED,
                 "the token is damaged or belongs to another farm; an admin of this farm "
                 "makes one with: ramet key token ROLE");
        return;
    }
    if (rmt_fields_check_enrolment(msg->body, &error) == -1) {
        s_refuse(broker, packet, error.code, error.text);
        return;
    }
    const char *name = rmt_record_text(msg->body, "name", "");
    if (rmt_keyring_has_admin(broker->keyring, name)) {
        s_refuse(broker, packet, RMT_E_EXISTS,
                 "an admin has this name; choose another one with --name");
        return;
    }
    rmt_id_t hash;
    char hash_text[RMT_ID_TEXT_SIZE];
    rmt_token_hash(&token, &hash);
    rmt_auto(rmt_record) meta = rmt_record_new();
    rmt_record_set(meta, "by", packet->user);
    rmt_record_set(meta, "address", packet->origin.address);
    rmt_record_set(meta, "hash", rmt_id_text(&hash, hash_text));
    rmt_record_set(msg->body, "key", packet->user);
    knock_t *knock = zmalloc(sizeof *knock);
    knock->broker = broker;
    knock->sequence = msg->sequence;
    knock->route = rmt_take(&packet->route);
    knock->origin = packet->origin;
    broker->knocks++;
    snprintf(knock->user, sizeof knock->user, "%s", packet->user);
    const rmt_call_t call = {.function = "enrol", .meta = meta, .body = msg->body};
    rmt_state_call(broker->state, &call, s_on_reply, knock);
}

void
rmt_enrol_port_handle(rmt_broker_t *broker)
{
    rmt_packet_t packet = {0};
    rmt_error_t error = {0};
    int rc;
    for (int i = 0; i < 64; i++) {
        rc = rmt_socket_recv(broker->ports[RMT_PORT_ENROL], &packet, &error);
        if (rc == 0)
            break;
        if (!rmt_guard_admits_knock(broker, &packet))
            continue;
        if (rc == -1 || packet.msg->kind != RMT_MSG_ENROL)
            rmt_guard_fail_knock(broker, &packet.origin);
        if (rc == 1 && packet.msg->kind == RMT_MSG_ENROL && *packet.user) {
            if (!rmt_broker_is_open(broker))
                s_refuse(broker, &packet, RMT_E_BUSY, RMT_BROKER_NOT_OPEN);
            else if (broker->knocks >= UNDER_WAY_MAX)
                s_refuse(broker, &packet, RMT_E_BUSY,
                         "the broker has too many enrolments under way; try again later");
            else
                s_knock(broker, &packet);
        }
    }
    rmt_packet_clear(&packet);
}
