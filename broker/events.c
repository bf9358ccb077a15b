#include "broker/events.h"

#include <string.h>
#include "broker/keyring.h"
#include "broker/peers.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "broker/roster.h"
#include "broker/worker_port.h"

#define QUIET_MS 500
#define TOPIC_MAX 200 // Longer ones meet a bug of libzmq (prefix lengths in a byte)

struct rmt_events {
    rmt_broker_t *broker;
    zhashx_t *last; // Topic -> the last percentage, a record
    bool is_reading, again;
};

static void
s_destroy_record(void **item_p)
{
    rmt_record_destroy((rmt_record_t **) item_p);
}

rmt_events_t *
rmt_events_new(rmt_broker_t *broker)
{
    rmt_events_t *self = zmalloc(sizeof *self);
    self->broker = broker;
    self->last = zhashx_new();
    zhashx_set_destructor(self->last, s_destroy_record);
    return self;
}

void
rmt_events_destroy(rmt_events_t **self_p)
{
    rmt_events_t *self = *self_p;
    if (self) {
        zhashx_destroy(&self->last);
        free(self);
        *self_p = NULL;
    }
}

void
rmt_events_begin(rmt_events_t *self, const char *last)
{
    rmt_broker_t *broker = self->broker;
    snprintf(broker->audit, sizeof broker->audit, "%s", last);
}

// ---- Publishing

static void
s_publish(rmt_events_t *self, const char *topic, const char *cursor,
          const rmt_record_t *body)
{
    rmt_error_t error = {0};
    if (strlen(topic) > TOPIC_MAX)
        return;
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_EVENT);
    rmt_msg_text(&msg->topic, topic);
    rmt_msg_text(&msg->cursor, cursor);
    rmt_record_merge(rmt_msg_body(msg), body);
    // A subscriber that is too slow loses events, and asks for a snapshot again.
    (void) rmt_socket_send(self->broker->ports[RMT_PORT_EVENTS], NULL, msg, false,
                           &error);
}

static char *
s_entry_topic(const rmt_record_t *entry)
{
    const char *job = rmt_record_text(entry, "job", "");
    const char *target = rmt_record_text(entry, "target", "");
    const char *service = rmt_record_text(entry, "service", "");
    const char *engine = rmt_record_text(entry, "engine", "");
    if (*job && *target)
        return rmt_text("job/%s/target/%s", job, target);
    if (*job && *service)
        return rmt_text("job/%s/task/%s", job, service);
    if (*job)
        return rmt_text("job/%s/state", job);
    if (*target)
        return rmt_text("target/%s/state", target);
    return *engine ? rmt_text("engine/%s/state", engine) : NULL;
}

// The topic under which the progress of a task is told. Caller owns it (free).
static char *
s_task_topic(const char *job, const char *service, const char *subject)
{
    if (strstr(service, "@target/") || strncmp(service, "order@", 6) == 0)
        return rmt_text("job/%s/target/%s", job, subject);
    return rmt_text("job/%s/task/%s", job, service);
}

static char *
s_flight_topic(const rmt_record_t *flight)
{
    return s_task_topic(rmt_record_text(flight, "job", ""),
                        rmt_record_text(flight, "service", ""),
                        rmt_record_text(flight, "subject", ""));
}

void
rmt_events_progress(rmt_events_t *self, const rmt_record_t *flight,
                    const rmt_msg_t *progress)
{
    rmt_auto_str topic = s_flight_topic(flight);
    const rmt_record_t *old = zhashx_lookup(self->last, topic);
    const uint64_t now = (uint64_t) rmt_clock_ms();
    const char *phase = progress->phase ? progress->phase : "";
    const bool is_quiet = old && now - rmt_record_u64(old, "told-at", 0) < QUIET_MS;
    rmt_auto(rmt_record) record = rmt_record_new();
    rmt_record_set(record, "job", rmt_record_text(flight, "job", ""));
    if (strstr(topic, "/target/"))
        rmt_record_set(record, "target", rmt_record_text(flight, "subject", ""));
    rmt_record_set(record, "phase", phase);
    rmt_record_set_u64(record, "done", progress->done);
    rmt_record_set_u64(record, "total", progress->total);
    rmt_record_set(record, "text", progress->text ? progress->text : "");
    rmt_record_set_u64(record, "attempt", progress->attempt);
    rmt_record_set_u64(record, "n", progress->sequence);
    if (!is_quiet)
        s_publish(self, topic, "", record);
    rmt_record_set_u64(record, "told-at",
                       is_quiet ? rmt_record_u64(old, "told-at", 0) : now);
    zhashx_update(self->last, topic, rmt_take(&record));
}

void
rmt_events_forget(rmt_events_t *self, const rmt_record_t *flight)
{
    rmt_auto_str topic = s_flight_topic(flight);
    zhashx_delete(self->last, topic);
}

void
rmt_events_forget_all(rmt_events_t *self)
{
    zhashx_purge(self->last);
}

void
rmt_events_merge(const rmt_events_t *self, const char *topic, rmt_record_t *item)
{
    static const char *const names[] = {"done", "total", "text"};
    const rmt_record_t *last = zhashx_lookup(self->last, topic);
    for (size_t i = 0; last && i < sizeof names / sizeof *names; i++)
        if (*rmt_record_text(last, names[i], ""))
            rmt_record_set(item, names[i], rmt_record_text(last, names[i], ""));
}

// ---- The audit stream

// Tell a target that its part of a job has ended before its time; why: code and text.
static void
s_notify(const rmt_broker_t *broker, const char *target, const rmt_record_t *why)
{
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_NOTICE);
    msg->code = (uint32_t) rmt_record_u64(why, "code", RMT_E_OK);
    rmt_msg_text(&msg->text, rmt_record_text(why, "text", ""));
    for (rmt_member_t *member = rmt_roster_first(broker->roster); member;
         member = rmt_roster_next(broker->roster))
        if (streq(member->role, "target") && streq(member->name, target))
            rmt_member_send(member, msg);
}

// Not for those who only listen.
static const char *const s_inner[] = {"id", "serial", "address"};

static void
s_take_entry(rmt_events_t *self, rmt_record_t *entry)
{
    const char *what = rmt_record_text(entry, "what", "");
    if (strncmp(what, "key.", 4) == 0 && rmt_record_has(entry, "key"))
        rmt_keyring_refresh(self->broker->keyring, rmt_record_text(entry, "key", ""));
    if (streq(what, "key.revoke") || streq(what, "key.replaced")) {
        rmt_worker_port_end(self->broker, rmt_record_text(entry, "key", ""));
        rmt_peers_drop(self->broker, rmt_record_text(entry, "key", ""));
    }
    if (streq(what, "grant"))
        rmt_peers_granted(self->broker, entry);
    if (streq(what, "era.raised")) {
        self->broker->era = (uint32_t) rmt_record_u64(entry, "era", self->broker->era);
        rmt_log(RMT_WARN, "era.raised", "era=%u text=\"%s\"", self->broker->era,
                rmt_record_text(entry, "text", ""));
    }
    rmt_auto_str topic = s_entry_topic(entry);
    if (!topic)
        return;
    rmt_auto_str id = strdup(rmt_record_text(entry, "id", ""));
    for (size_t i = 0; i < sizeof s_inner / sizeof *s_inner; i++)
        rmt_record_remove(entry, s_inner[i]);
    s_publish(self, topic, id, entry);
    // What concerns a target in a job is news of the target as well, and the person in
    // front of its machine wants to know why nothing comes.
    if (streq(what, "job.target")) {
        const char *target = rmt_record_text(entry, "target", "");
        const char *state = rmt_record_text(entry, "state", "");
        rmt_auto_str other = rmt_text("target/%s/state", target);
        s_publish(self, other, id, entry);
        if (streq(state, "failed") || streq(state, "cancelled"))
            s_notify(self->broker, target, entry);
    }
}

static void
s_on_read(void *context, rmt_msg_t *reply)
{
    rmt_events_t *self = context;
    self->is_reading = false;
    if (reply->code != RMT_E_OK)
        return; // The scan reads on
    const size_t count = rmt_records_count(reply->items);
    if (rmt_record_has(reply->body, "last"))
        rmt_events_begin(self, rmt_record_text(reply->body, "last", ""));
    for (size_t i = 0; i < count; i++) {
        rmt_record_t *entry = rmt_records_at(reply->items, i);
        rmt_broker_know(self->broker, rmt_record_text(entry, "id", ""),
                        rmt_record_text(entry, "moment", ""));
        s_take_entry(self, entry);
    }
    if (self->again || count > 0) {
        self->again = false;
        rmt_events_tail(self);
    }
}

void
rmt_events_tail(rmt_events_t *self)
{
    if (!*self->broker->audit)
        return;
    if (self->is_reading) {
        self->again = true;
        return;
    }
    self->is_reading = true;
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "after", self->broker->audit);
    rmt_broker_call(self->broker, "audit_read", body, s_on_read, self);
}
