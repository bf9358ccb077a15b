#include "broker/peers.h"

#include "base/rmt_auto.h"
#include "crypto/rmt_id.h"

#define ITEMS_MAX 500 // In one PEERS

static void
s_send(const rmt_member_t *member, const rmt_records_t *items)
{
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_PEERS);
    rmt_msg_text(&msg->place, member->place);
    msg->items = rmt_records_dup(items);
    rmt_member_send(member, msg); // A holder that hears nothing of it greets again
}

// Append the item of PEERS for a grant, or for the end of a key (op drop). False when its
// root is none.
static bool
s_add_item(rmt_records_t *items, const rmt_record_t *grant)
{
    const char *root = rmt_record_text(grant, "root", "");
    const char *op = rmt_record_text(grant, "op", "add");
    rmt_id_t id;
    rmt_error_t error = {0};
    if (*root && rmt_id_parse(&id, root, &error) == -1)
        return false;
    rmt_record_t *item = rmt_records_add(items);
    rmt_record_set(item, "op", op);
    rmt_record_set(item, "key", rmt_record_text(grant, "key", ""));
    if (!streq(op, "drop"))
        rmt_record_set(item, "left-ms", rmt_record_text(grant, "left-ms", "0"));
    if (*root)
        rmt_record_put(item, "roots", id.bytes, sizeof id.bytes);
    return true;
}

void
rmt_peers_grant(rmt_broker_t *broker, const char *place, const rmt_record_t *grant)
{
    rmt_auto(rmt_records) items = rmt_records_new();
    if (!s_add_item(items, grant))
        return;
    rmt_roster_t *roster = broker->roster;
    for (rmt_member_t *member = rmt_roster_first(roster); member;
         member = rmt_roster_next(roster))
        if (rmt_member_is_holder(member) && streq(member->place, place))
            s_send(member, items);
}

// ---- A grant that any broker has made, by its entry in the audit stream

typedef struct {
    rmt_broker_t *broker;
    char *place;
} news_t;

static void
s_on_granted(void *context, rmt_msg_t *reply)
{
    news_t *news = context;
    for (size_t i = 0; reply->code == RMT_E_OK && i < rmt_records_count(reply->items);
         i++)
        rmt_peers_grant(news->broker, news->place, rmt_records_at(reply->items, i));
    free(news->place);
    free(news);
}

void
rmt_peers_granted(rmt_broker_t *broker, const rmt_record_t *entry)
{
    news_t *news = zmalloc(sizeof *news);
    news->broker = broker;
    news->place = strdup(rmt_record_text(entry, "place", ""));
    rmt_broker_call(broker, "grants", entry, s_on_granted, news);
}

void
rmt_peers_relay(rmt_broker_t *broker, const rmt_record_t *relay,
                const rmt_records_t *peers)
{
    rmt_auto(rmt_records) items = rmt_records_new();
    rmt_auto(rmt_record) item = rmt_record_dup(relay);
    rmt_record_set(item, "op", "add");
    rmt_records_append(items, &item);
    for (size_t i = 0; i < rmt_records_count(peers); i++) {
        const rmt_record_t *peer = rmt_records_at(peers, i);
        const rmt_member_t *member =
            rmt_roster_find(broker->roster, rmt_record_text(peer, "key", ""));
        if (member)
            s_send(member, items);
    }
}

void
rmt_peers_drop(rmt_broker_t *broker, const char *key)
{
    rmt_auto(rmt_records) items = rmt_records_new();
    rmt_record_t *item = rmt_records_add(items);
    rmt_record_set(item, "op", "drop");
    rmt_record_set(item, "key", key);
    rmt_roster_t *roster = broker->roster;
    for (rmt_member_t *member = rmt_roster_first(roster); member;
         member = rmt_roster_next(roster))
        if (rmt_member_is_holder(member))
            s_send(member, items);
}

typedef struct {
    rmt_broker_t *broker;
    char key[RMT_USER_SIZE];
} ask_t;

static void
s_on_grants(void *context, rmt_msg_t *reply)
{
    ask_t *ask = context;
    rmt_member_t *member = reply->code == RMT_E_CANCELLED
                               ? NULL
                               : rmt_roster_find(ask->broker->roster, ask->key);
    if (member && reply->code == RMT_E_OK) {
        rmt_auto(rmt_records) items = rmt_records_new();
        const size_t count = rmt_records_count(reply->items);
        for (size_t i = 0; i < count; i++) {
            s_add_item(items, rmt_records_at(reply->items, i));
            if (rmt_records_count(items) == ITEMS_MAX || i + 1 == count) {
                s_send(member, items);
                rmt_records_destroy(&items);
                items = rmt_records_new();
            }
        }
    }
    free(ask);
}

void
rmt_peers_welcome(rmt_broker_t *broker, const rmt_member_t *member)
{
    if (!rmt_member_is_holder(member))
        return;
    ask_t *ask = zmalloc(sizeof *ask);
    ask->broker = broker;
    snprintf(ask->key, sizeof ask->key, "%s", member->key);
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "place", member->place);
    rmt_broker_call(broker, "grants", body, s_on_grants, ask);
}
