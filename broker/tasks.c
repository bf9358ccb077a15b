#include "broker/tasks.h"

#include <string.h>
#include "broker/events.h"
#include "broker/saver.h"
#include "base/rmt_auto.h"
#include "wire/rmt_codec.h"
#include "base/rmt_log.h"

void
rmt_tasks_cancel(const rmt_member_t *member, const rmt_record_t *item)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_CANCEL);
    if (rmt_uid_parse(msg->task, rmt_record_text(item, "task", ""), &error) == -1)
        return;
    msg->attempt = (uint32_t) rmt_record_u64(item, "attempt", 0);
    rmt_msg_text(&msg->text, "the task belongs to another worker now");
    rmt_member_send(member, msg);
}

static void
s_copy_prefixed(rmt_record_t *to, const rmt_record_t *from, const char *prefix)
{
    for (size_t i = 0; i < rmt_record_count(from); i++) {
        const char *name = rmt_record_name_at(from, i);
        if (strncmp(name, prefix, strlen(prefix)) != 0)
            continue;
        size_t size = 0;
        const void *value = rmt_record_value_at(from, i, &size);
        rmt_record_put(to, name + strlen(prefix), value, size);
    }
}

// The record of the target goes into the tasks of its engine packed.
static void
s_add_target(rmt_record_t *body, const rmt_record_t *item)
{
    rmt_auto(rmt_records) list = rmt_records_new();
    rmt_record_t *record = rmt_records_add(list);
    s_copy_prefixed(record, item, "r.");
    if (rmt_record_count(record) == 0)
        return;
    rmt_auto(zchunk) packed = rmt_codec_pack_records(list);
    rmt_record_put(body, "record", zchunk_data(packed), zchunk_size(packed));
}

void
rmt_tasks_land(rmt_broker_t *broker, const char *task)
{
    const rmt_record_t *flight = rmt_roster_flight(broker->roster, task);
    if (!flight)
        return;
    rmt_events_forget(broker->events, flight);
    rmt_roster_land(broker->roster, task);
}

void
rmt_tasks_expire(rmt_broker_t *broker)
{
    rmt_auto(zlist) strays = rmt_roster_strays(broker->roster);
    for (const char *task = zlist_first(strays); task; task = zlist_next(strays))
        rmt_tasks_land(broker, task);
}

// A task that could not even be sent goes back to its queue.
static void
s_return_task(rmt_broker_t *broker, const rmt_member_t *member, const rmt_record_t *item)
{
    rmt_auto(rmt_record) meta = rmt_member_meta(member);
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "task", rmt_record_text(item, "id", ""));
    rmt_record_set(body, "attempt", rmt_record_text(item, "attempt", ""));
    rmt_tasks_land(broker, rmt_record_text(item, "id", ""));
    const rmt_call_t call = {.function = "task_return", .meta = meta, .body = body};
    rmt_state_call(broker->state, &call, NULL, NULL);
}

// False when the peer has gone: it may be at another broker.
static bool
s_send_task(rmt_broker_t *broker, rmt_member_t *member, const rmt_record_t *item,
            uint32_t era)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_TASK);
    if (rmt_uid_parse(msg->task, rmt_record_text(item, "id", ""), &error) == -1 ||
        rmt_uid_parse(msg->job, rmt_record_text(item, "job", ""), &error) == -1)
        return true;
    msg->attempt = (uint32_t) rmt_record_u64(item, "attempt", 1);
    msg->era = era;
    msg->epoch = rmt_record_u64(item, "epoch", 0);
    rmt_msg_text(&msg->service, rmt_record_text(item, "service", ""));
    s_copy_prefixed(rmt_msg_body(msg), item, "b.");
    s_add_target(msg->body, item);
    rmt_roster_fly(broker->roster, member->key, item);
    rmt_log(RMT_DEBUG, "task.sent", "task=%s service=%s attempt=%u to=%s",
            rmt_record_text(item, "id", ""), msg->service, msg->attempt, member->name);
    if (rmt_member_try_send(member, msg, &error) == 0)
        return true;
    rmt_log(RMT_INFO, "task.unsent", "task=%s service=%s to=%s text=\"%s\"",
            rmt_record_text(item, "id", ""), msg->service, member->name, error.text);
    s_return_task(broker, member, item);
    return false;
}

// Returns false when the peer is gone.
static bool
s_send_tasks(rmt_broker_t *broker, rmt_member_t *member, const rmt_msg_t *taken,
             bool may_go)
{
    const uint32_t era = (uint32_t) rmt_record_u64(taken->body, "era", 0);
    member->may_miss |= !may_go;
    bool is_there = true;
    for (size_t i = 0; i < rmt_records_count(taken->items); i++) {
        const rmt_record_t *item = rmt_records_at(taken->items, i);
        if (may_go)
            is_there &= s_send_task(broker, member, item, era);
        else
            s_return_task(broker, member, item);
    }
    return is_there;
}

static void s_take(rmt_broker_t *broker, rmt_member_t *member,
                   rmt_service_offer_t *offer);

// Tasks on their way from Redis to a member.
typedef struct {
    rmt_asked_t *asked;
    rmt_msg_t *reply;
} taken_t;

static void
s_taken_destroy(taken_t **self_p)
{
    taken_t *self = *self_p;
    rmt_asked_destroy(&self->asked);
    rmt_msg_destroy(&self->reply);
    free(self);
    *self_p = NULL;
}

// Tasks taken for a peer that has greeted anew since are offered again by that HELLO,
// which does not name them.
static void
s_give(rmt_asked_t *asked, const rmt_msg_t *reply, bool may_go)
{
    rmt_member_t *member = rmt_asked_member(asked, reply);
    rmt_service_offer_t *offer = member ? rmt_member_offer(member, asked->service) : NULL;
    if (!offer)
        return;
    offer->is_taking = false;
    member->may_miss |= reply->body && (rmt_record_has(reply->body, "doubtful") ||
                                        rmt_record_has(reply->body, "greet"));
    const size_t count = reply->code == RMT_E_OK ? rmt_records_count(reply->items) : 0;
    // An error, such as a Redis that went away meanwhile, has no body.
    const bool is_there =
        count == 0 || s_send_tasks(asked->broker, member, reply, may_go);
    offer->credit -= count < offer->credit ? (uint32_t) count : offer->credit;
    if (!is_there)
        rmt_roster_drop(asked->broker->roster, member->key);
    else if (offer->is_wanted)
        s_take(asked->broker, member, offer);
    if (count > 0)
        rmt_events_tail(asked->broker->events);
}

// A broker that cannot write its state file closes.
static void
s_on_saved(void *context, const rmt_error_t *error)
{
    taken_t *taken = context;
    if (error->code != RMT_E_OK && error->code != RMT_E_CANCELLED) {
        rmt_log(RMT_ERROR, "state.unsaved", "text=\"%s\"", error->text);
        taken->asked->broker->up_at = 0;
    }
    if (error->code != RMT_E_CANCELLED)
        s_give(taken->asked, taken->reply, error->code == RMT_E_OK);
    s_taken_destroy(&taken);
}

// The GO that was handed out must be in the state file before it leaves: a Redis that
// loses it would hand it out again.
static void
s_on_take(void *context, rmt_msg_t *reply)
{
    rmt_asked_t *asked = context;
    if (reply->code != RMT_E_OK || !rmt_record_has(reply->body, "last")) {
        s_give(asked, reply, true);
        rmt_asked_destroy(&asked);
        return;
    }
    rmt_broker_know(asked->broker, rmt_record_text(reply->body, "last", ""),
                    rmt_record_text(reply->body, "moment", ""));
    taken_t *taken = zmalloc(sizeof *taken);
    taken->asked = asked;
    taken->reply = rmt_msg_new(RMT_MSG_REPLY);
    taken->reply->body = rmt_take(&reply->body);
    taken->reply->items = rmt_take(&reply->items);
    rmt_saver_save(asked->broker->saver, s_on_saved, taken);
}

static void
s_take(rmt_broker_t *broker, rmt_member_t *member, rmt_service_offer_t *offer)
{
    offer->is_wanted = offer->is_taking;
    if (!member->is_ready || member->may_miss || offer->is_taking || offer->credit == 0 ||
        !rmt_member_is_present(member))
        return;
    offer->is_taking = true;
    rmt_auto(rmt_record) meta = rmt_member_meta(member);
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "service", offer->service);
    rmt_record_set(body, "nonce", member->nonce);
    rmt_record_set(body, "greeting", member->greeting);
    rmt_record_set_u64(body, "n", offer->credit < 16 ? offer->credit : 16);
    rmt_record_set_u64(body, "lease-ms", broker->settings->lease_ms);
    const rmt_call_t call = {"task_take", meta, body, NULL};
    rmt_state_call(broker->state, &call, s_on_take,
                   rmt_asked_new(broker, member, offer->service));
}

void
rmt_tasks_feed(rmt_broker_t *broker, rmt_member_t *member)
{
    for (size_t i = 0; i < member->offer_count; i++)
        s_take(broker, member, &member->offers[i]);
}

void
rmt_tasks_wake(rmt_broker_t *broker, const char *service)
{
    rmt_roster_t *roster = broker->roster;
    for (rmt_member_t *member = rmt_roster_first(roster); member;
         member = rmt_roster_next(roster)) {
        rmt_service_offer_t *offer = rmt_member_offer(member, service);
        if (offer)
            s_take(broker, member, offer);
    }
}
