#include "broker/ask.h"

#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "broker/events.h"
#include "broker/keyring.h"
#include "broker/lanes.h"
#include "broker/verbs.h"
#include "crypto/rmt_id.h"
#include "facts/rmt_fields.h"

#define TOO_MANY "the broker has too many requests under way; try again in a moment"

static void
s_ask_destroy(rmt_ask_t **self_p)
{
    rmt_ask_t *self = *self_p;
    if (self) {
        zframe_destroy(&self->route);
        rmt_msg_destroy(&self->msg);
        rmt_record_destroy(&self->meta);
        memset(self->token, 0, sizeof self->token);
        free(self);
        *self_p = NULL;
    }
}

static void
s_send(rmt_ask_t *ask, rmt_msg_t *reply)
{
    rmt_error_t error = {0};
    const rmt_guard_to_t to = {ask->port, ask->route, ask->key, &ask->origin,
                               rmt_lanes_unsent(ask->broker->lanes, ask->lane)};
    reply->sequence = ask->msg->sequence;
    // A peer that has gone asks again.
    if (rmt_guard_send(ask->broker, &to, reply, &error) == 0 ||
        error.code != RMT_E_TOO_BIG)
        return;
    rmt_auto(rmt_msg) other = rmt_msg_new(RMT_MSG_REPLY);
    other->sequence = ask->msg->sequence;
    other->code = RMT_E_TOO_BIG;
    rmt_msg_text(&other->text, "the answer is larger than a message may be");
    (void) rmt_guard_send(ask->broker, &to, other, &error);
}

static void
s_fail(rmt_ask_t *ask, rmt_code_t code, const char *text)
{
    rmt_auto(rmt_msg) reply = rmt_msg_new(RMT_MSG_REPLY);
    reply->code = code;
    rmt_msg_text(&reply->text, text);
    s_send(ask, reply);
}

static void s_ask(rmt_ask_t *ask);

static rmt_ask_t *
s_leave(rmt_ask_t *ask)
{
    rmt_ask_t *next = rmt_lanes_leave(ask->broker->lanes, ask->lane, ask->size);
    s_ask_destroy(&ask);
    return next;
}

// The request is answered: the next one of its key has its turn. Those that wait behind
// answers that the peer does not read are not asked.
static void
s_end(rmt_ask_t *ask)
{
    rmt_ask_t *next = s_leave(ask);
    while (next && rmt_lanes_is_full(next->broker->lanes, next->lane)) {
        s_fail(next, RMT_E_BUSY, TOO_MANY);
        next = s_leave(next);
    }
    if (next)
        s_ask(next);
}

static void
s_on_reply(void *context, rmt_msg_t *reply)
{
    rmt_ask_t *ask = context;
    if (reply->code == RMT_E_OK && ask->verb->after)
        ask->verb->after(ask, reply);
    if (reply->code == RMT_E_NOT_ALLOWED)
        rmt_guard_refuse(ask->broker, ask->key, &ask->origin, ask->verb->name,
                         reply->text ? reply->text : "");
    if (reply->code != RMT_E_CANCELLED) { // Else the broker ends: the asker tries again
        s_send(ask, reply);
        if (!(ask->verb->roles & RMT_VERB_QUIET))
            rmt_events_tail(ask->broker->events);
    }
    s_end(ask);
}

static rmt_record_t *
s_meta(const rmt_record_t *key, const rmt_msg_t *msg, const char *address)
{
    static const uint8_t none[RMT_UID_SIZE] = {0};
    rmt_record_t *meta = rmt_record_new();
    rmt_record_set(meta, "by", rmt_record_text(key, "key", ""));
    rmt_record_set(meta, "role", rmt_record_text(key, "role", ""));
    rmt_record_set(meta, "name", rmt_record_text(key, "name", ""));
    rmt_record_set(meta, "address", address);
    rmt_record_set(meta, "place", rmt_record_text(key, "place", ""));
    rmt_record_set(meta, "epoch", rmt_record_text(key, "epoch", ""));
    rmt_record_set(meta, "cursor", msg->cursor ? msg->cursor : "");
    if (memcmp(msg->idempotency, none, sizeof none) != 0) {
        char text[33];
        rmt_record_set(meta, "idem", rmt_uid_text(msg->idempotency, text));
    }
    return meta;
}

static void
s_call(rmt_ask_t *ask)
{
    const rmt_call_t call = {.function = ask->verb->function,
                             .meta = ask->meta,
                             .body = ask->msg->body,
                             .items = ask->msg->items};
    rmt_state_call(ask->broker->state, &call, s_on_reply, ask);
}

// What is set is checked together with what the record has, so that an address may have
// its length from there. A change that comes between is found by the plan.
static void
s_on_record(void *context, rmt_msg_t *reply)
{
    rmt_ask_t *ask = context;
    rmt_error_t error = {0};
    const char *class = rmt_record_text(ask->msg->body, "class", "");
    if (reply->code != RMT_E_OK) {
        s_on_reply(ask, reply);
    } else if (rmt_fields_check(class, ask->msg->body, reply->body, &error) == -1) {
        s_fail(ask, error.code, error.text);
        s_end(ask);
    } else {
        s_call(ask);
    }
}

static void
s_on_settings(void *context, rmt_msg_t *reply)
{
    rmt_ask_t *ask = context;
    if (reply->code == RMT_E_OK)
        rmt_record_merge(ask->msg->body, rmt_msg_body(reply));
    else
        rmt_record_set(ask->msg->body, "settings-fault", reply->text);
    s_call(ask);
}

static void
s_call_with_settings(rmt_ask_t *ask)
{
    rmt_broker_call(ask->broker, RMT_STATE_SETTINGS, NULL, s_on_settings, ask);
}

static void
s_call_with_record(rmt_ask_t *ask)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "class", rmt_record_text(ask->msg->body, "class", ""));
    rmt_record_set(body, "name", rmt_record_text(ask->msg->body, "name", ""));
    rmt_broker_call(ask->broker, "record_show", body, s_on_record, ask);
}

static void
s_ask(rmt_ask_t *ask)
{
    rmt_error_t error = {0};
    const rmt_verb_t *verb = ask->verb;
    if (!rmt_keyring_find(ask->broker->keyring, ask->key)) {
        s_fail(ask, RMT_E_NOT_ALLOWED, RMT_BROKER_NO_KEY); // Revoked while it waited
        s_end(ask);
        return;
    }
    if (verb->before && verb->before(ask, &error) == -1) {
        s_fail(ask, error.code, error.text);
        if (error.code == RMT_E_NOT_ALLOWED)
            rmt_guard_refuse(ask->broker, ask->key, &ask->origin, verb->name, error.text);
        s_end(ask);
        return;
    }
    if (verb->roles & RMT_VERB_SETS)
        s_call_with_record(ask);
    else if (verb->roles & RMT_VERB_JUDGES)
        s_call_with_settings(ask);
    else
        s_call(ask);
}

// Reading is repeated at will: an answer of an old state is not kept for it.
static void
s_enter(rmt_ask_t *ask, const rmt_record_t *key)
{
    ask->meta = s_meta(key, ask->msg, ask->origin.address);
    if (ask->verb->roles & RMT_VERB_READS)
        rmt_record_remove(ask->meta, "idem");
    (void) rmt_msg_body(ask->msg);
    switch (rmt_lanes_enter(ask->broker->lanes, ask->lane, ask->size,
                            rmt_record_is(key, "role", "admin"), ask)) {
    case RMT_LANE_GO:
        s_ask(ask);
        break;
    case RMT_LANE_WAIT:
        break;
    case RMT_LANE_BUSY:
        s_fail(ask, RMT_E_BUSY, TOO_MANY);
        s_ask_destroy(&ask);
    }
}

// Takes the packet's route and message.
static rmt_ask_t *
s_new(rmt_broker_t *broker, zsock_t *port, rmt_packet_t *packet)
{
    rmt_ask_t *ask = zmalloc(sizeof *ask);
    ask->broker = broker;
    ask->port = port;
    ask->route = rmt_take(&packet->route);
    ask->msg = rmt_take(&packet->msg);
    ask->origin = packet->origin;
    rmt_guard_lane(broker, packet, ask->lane);
    ask->size = packet->size;
    snprintf(ask->key, sizeof ask->key, "%s", packet->user);
    ask->verb = rmt_verbs_find(ask->msg->verb ? ask->msg->verb : "");
    return ask;
}

void
rmt_ask_refuse(rmt_broker_t *broker, zsock_t *port, rmt_packet_t *packet, rmt_code_t code,
               const char *text)
{
    rmt_ask_t *ask = s_new(broker, port, packet);
    // Who reads no answers is not told that it asks too often.
    if (code != RMT_E_BUSY || !rmt_lanes_is_full(broker->lanes, ask->lane))
        s_fail(ask, code, text);
    s_ask_destroy(&ask);
}

void
rmt_ask_answer(rmt_broker_t *broker, zsock_t *port, const rmt_record_t *key,
               rmt_packet_t *packet)
{
    rmt_ask_t *ask = s_new(broker, port, packet);
    const char *name = ask->msg->verb ? ask->msg->verb : "";
    if (ask->verb && rmt_verbs_may(ask->verb, key) && rmt_broker_is_open(broker)) {
        s_enter(ask, key);
        return;
    }
    if (!ask->verb) {
        rmt_auto_str text = rmt_text("the verb %.64s does not exist", name);
        s_fail(ask, RMT_E_UNSUPPORTED, text);
    } else if (!rmt_broker_is_open(broker)) {
        rmt_auto(rmt_msg) reply = rmt_msg_away(rmt_broker_not_open(broker));
        s_send(ask, reply);
    } else {
        rmt_auto_str text = rmt_verbs_refusal(ask->verb, key);
        s_fail(ask, RMT_E_NOT_ALLOWED, text);
        rmt_guard_refuse(broker, ask->key, &ask->origin, name, text);
    }
    s_ask_destroy(&ask);
}
