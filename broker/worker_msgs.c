#include "broker/worker_msgs.h"

#include <string.h>
#include "broker/driver.h"
#include "broker/events.h"
#include "broker/guard.h"
#include "broker/quota.h"
#include "base/rmt_auto.h"
#include "base/rmt_failpoint.h"
#include "base/rmt_clock.h"
#include "base/rmt_log.h"
#include "broker/tasks.h"
#include "state/rmt_limits.h"

#define PHASE_MAX 60
// Results, phases and doubts of one key on their way to Redis; more are sent again.
#define AGENT_CALLS_MAX 16
#define PLACE_CALLS_MAX 256

static bool
s_hold(rmt_broker_t *broker, const rmt_member_t *member)
{
    return rmt_quota_hold(broker->quota, member->key,
                          rmt_member_is_holder(member) ? PLACE_CALLS_MAX
                                                       : AGENT_CALLS_MAX);
}

// ---- Tasks of others

typedef struct {
    rmt_asked_t *asked; // Its service is the kind of the message
    uint32_t attempt;
} claim_t;

// A late word about a task that the worker had itself has an older attempt, or the task
// is in no hands by now.
static bool
s_is_of_another(const claim_t *claim, rmt_member_t *member, const rmt_record_t *task)
{
    if (!rmt_member_offer(member, rmt_record_text(task, "service", "")))
        return true;
    const char *worker = rmt_record_text(task, "worker", "");
    return *worker && !streq(worker, member->key) &&
           claim->attempt >= rmt_record_u64(task, "attempt", 0);
}

static void
s_on_task(void *context, rmt_msg_t *reply)
{
    claim_t *claim = context;
    rmt_asked_t *asked = claim->asked;
    rmt_member_t *member = rmt_asked_member(asked, reply);
    rmt_quota_release(asked->broker->quota, asked->key);
    if (member && reply->code == RMT_E_OK && s_is_of_another(claim, member, reply->body))
        rmt_guard_refuse(asked->broker, asked->key, &member->origin, asked->service,
                         "the task is not in the hands of this worker");
    rmt_asked_destroy(&claim->asked);
    free(claim);
}

// A message (act: its kind) names a task, and the member does not have this attempt of
// it. That is an act to be refused when the task is another's.
static void
s_look_whose(rmt_broker_t *broker, const rmt_member_t *member, const char *act,
             const char *task, uint32_t attempt)
{
    if (!s_hold(broker, member))
        return; // Enough of them are being looked at
    claim_t *claim = zmalloc(sizeof *claim);
    claim->asked = rmt_asked_new(broker, member, act);
    claim->attempt = attempt;
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "task", task);
    rmt_broker_call(broker, "task_show", body, s_on_task, claim);
}

void
rmt_worker_msgs_gone(rmt_broker_t *broker, const rmt_member_t *member,
                     rmt_msg_kind_t kind, const rmt_record_t *item)
{
    const char *task = rmt_record_text(item, "task", "");
    const rmt_record_t *flight = rmt_roster_flight(broker->roster, task);
    if (flight && rmt_record_is(flight, "worker", member->key))
        rmt_tasks_land(broker, task);
    rmt_tasks_cancel(member, item);
    s_look_whose(broker, member, rmt_msg_kind_name(kind), task,
                 (uint32_t) rmt_record_u64(item, "attempt", 0));
}

// ---- BEAT

static void
s_on_beat(void *context, rmt_msg_t *reply)
{
    rmt_asked_t *asked = context;
    rmt_member_t *member = rmt_asked_member(asked, reply);
    if (member)
        member->is_beating = false;
    const size_t count =
        member && reply->code == RMT_E_OK ? rmt_records_count(reply->items) : 0;
    for (size_t i = 0; i < count; i++) {
        rmt_worker_msgs_gone(asked->broker, member, RMT_MSG_BEAT,
                             rmt_records_at(reply->items, i));
    }
    rmt_asked_destroy(&asked);
}

void
rmt_worker_msgs_beat(rmt_broker_t *broker, rmt_member_t *member, rmt_msg_t *msg)
{
    rmt_auto(rmt_msg) answer = rmt_msg_new(RMT_MSG_BEAT);
    rmt_member_send(member, answer);
    // While Redis is slower than the beats, the one under way stands for them all.
    if (!msg->items || rmt_records_count(msg->items) == 0 || member->is_beating)
        return;
    member->is_beating = true;
    rmt_auto(rmt_record) meta = rmt_member_meta(member);
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set_u64(body, "lease-ms", broker->settings->lease_ms);
    const rmt_call_t call = {"task_beat", meta, body, msg->items};
    rmt_state_call(broker->state, &call, s_on_beat, rmt_asked_new(broker, member, ""));
}

// ---- CREDIT

void
rmt_worker_msgs_credit(rmt_broker_t *broker, rmt_member_t *member, rmt_msg_t *msg)
{
    rmt_service_offer_t *offer =
        rmt_member_offer(member, msg->service ? msg->service : "");
    if (!offer) {
        rmt_guard_refuse(broker, member->key, &member->origin, "credit",
                         "the worker did not offer this service");
        return;
    }
    offer->credit = msg->slots < 1000 ? msg->slots : 1000;
    rmt_tasks_feed(broker, member);
}

// ---- PROGRESS

static const rmt_record_t *
s_flight(rmt_broker_t *broker, const rmt_member_t *member, const char *task,
         uint32_t attempt)
{
    const rmt_record_t *flight = rmt_roster_flight(broker->roster, task);
    const bool is_own = flight && rmt_record_is(flight, "worker", member->key) &&
                        rmt_record_u64(flight, "attempt", 0) == attempt;
    return is_own ? flight : NULL;
}

static void
s_on_phase(void *context, rmt_msg_t *reply)
{
    rmt_asked_t *asked = context;
    rmt_quota_release(asked->broker->quota, asked->key);
    if (reply->code == RMT_E_OK)
        rmt_events_tail(asked->broker->events);
    rmt_asked_destroy(&asked);
}

// Whether a PROGRESS says what its task's record does not have: another phase, that it
// waits, or that it no longer does.
static bool
s_is_news(const rmt_msg_t *msg, const rmt_record_t *flight)
{
    const bool waits = msg->text && *msg->text;
    return msg->phase && *msg->phase && strlen(msg->phase) <= PHASE_MAX &&
           (!rmt_record_is(flight, "phase", msg->phase) ||
            waits != (rmt_record_u64(flight, "waits", 0) == 1));
}

// Whether a phase may be recorded, as far as this broker knows since the last HELLO; else
// the next PROGRESS of this phase brings it again.
static bool
s_may_record(rmt_broker_t *broker, const rmt_member_t *member, rmt_record_t *flight)
{
    const uint64_t phases = rmt_record_u64(flight, "phases", 0);
    if (phases >= RMT_PHASES_MAX || !s_hold(broker, member))
        return false;
    rmt_record_set_u64(flight, "phases", phases + 1);
    return true;
}

void
rmt_worker_msgs_progress(rmt_broker_t *broker, rmt_member_t *member, rmt_msg_t *msg)
{
    char task[33];
    rmt_uid_text(msg->task, task);
    if (!s_flight(broker, member, task, msg->attempt)) {
        s_look_whose(broker, member, rmt_msg_kind_name(RMT_MSG_PROGRESS), task,
                     msg->attempt);
        return; // Late, or of another worker: it has no effect
    }
    rmt_record_t *flight = rmt_roster_flight(broker->roster, task);
    rmt_events_progress(broker->events, flight, msg);
    if (!s_is_news(msg, flight) || !s_may_record(broker, member, flight))
        return;
    const char *text = msg->text ? msg->text : "";
    rmt_record_set(flight, "phase", msg->phase);
    rmt_record_set_u64(flight, "waits", *text ? 1 : 0);
    rmt_auto(rmt_record) meta = rmt_member_meta(member);
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "task", task);
    rmt_record_set_u64(body, "attempt", msg->attempt);
    rmt_record_set(body, "phase", msg->phase);
    rmt_record_set(body, "text", text);
    const rmt_call_t call = {"task_phase", meta, body, NULL};
    rmt_state_call(broker->state, &call, s_on_phase, rmt_asked_new(broker, member, ""));
}

// ---- RESULT

static void
s_recorded(rmt_broker_t *broker, const rmt_record_t *claim, rmt_code_t code)
{
    const char *task = rmt_record_text(claim, "task", "");
    rmt_quota_release(broker->quota, rmt_record_text(claim, "worker", ""));
    const bool is_final =
        code == RMT_E_OK || code == RMT_E_FENCED || code == RMT_E_NOT_FOUND;
    rmt_member_t *member =
        rmt_roster_find(broker->roster, rmt_record_text(claim, "worker", ""));
    const rmt_record_t *flight = rmt_roster_flight(broker->roster, task);
    if (is_final && flight &&
        streq(rmt_record_text(flight, "worker", ""),
              rmt_record_text(claim, "worker", "")) &&
        streq(rmt_record_text(flight, "attempt", ""),
              rmt_record_text(claim, "attempt", ""))) {
        rmt_tasks_land(broker, task);
    }
    if (!is_final || !member)
        return; // Without RECORDED it is sent again
    if (code == RMT_E_FENCED)
        s_look_whose(broker, member, rmt_msg_kind_name(RMT_MSG_RESULT), task,
                     (uint32_t) rmt_record_u64(claim, "attempt", 0));
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_RECORDED);
    if (rmt_uid_parse(msg->task, task, &error) == -1)
        return;
    msg->attempt = (uint32_t) rmt_record_u64(claim, "attempt", 0);
    msg->code = code == RMT_E_OK ? RMT_E_OK : RMT_E_FENCED;
    if (RMT_FAILPOINT("broker.result.recorded") == -1)
        return;
    rmt_member_send(member, msg);
}

static rmt_record_t *
s_claim(rmt_broker_t *broker, const rmt_member_t *member, const rmt_msg_t *msg)
{
    char task[33];
    rmt_uid_text(msg->task, task);
    rmt_record_t *claim = rmt_record_new();
    rmt_record_set(claim, "task", task);
    rmt_record_set_u64(claim, "attempt", msg->attempt);
    rmt_record_set(claim, "worker", member->key);
    rmt_record_set_u64(claim, "code", rmt_code_from(msg->code));
    rmt_record_set(claim, "text", msg->text ? msg->text : "");
    const char *log = rmt_record_text(msg->body, "log", "");
    if (msg->code != RMT_E_OK && strlen(log) < RMT_LOG_TAIL_SIZE)
        rmt_record_set(claim, "log", log);
    const rmt_record_t *flight = rmt_roster_flight(broker->roster, task);
    if (flight)
        rmt_record_set(claim, "job", rmt_record_text(flight, "job", ""));
    return claim;
}

typedef struct {
    rmt_broker_t *broker;
    rmt_record_t *claim;
} release_t;

static void
s_on_release(void *context, rmt_msg_t *reply)
{
    release_t *release = context;
    rmt_broker_t *broker = release->broker;
    if (reply->code == RMT_E_OK) {
        s_recorded(broker, release->claim, RMT_E_OK);
        rmt_events_tail(broker->events);
    } else if (reply->code == RMT_E_UNAVAILABLE) {
        rmt_quota_release(broker->quota, rmt_record_text(release->claim, "worker", ""));
    } else if (reply->code != RMT_E_CANCELLED) {
        // Tried too often, or refused at each try: then it has failed. Not current: the
        // step says so, or that it was recorded already.
        rmt_record_t *outputs = rmt_record_new();
        rmt_driver_result(broker->driver, &release->claim, &outputs, s_recorded);
    }
    rmt_record_destroy(&release->claim);
    free(release);
}

// A worker that leaves gives its task back; only a job that was cancelled ends by it,
// and then the task has ended before.
static void
s_release(rmt_broker_t *broker, const rmt_member_t *member, rmt_record_t *claim)
{
    release_t *release = zmalloc(sizeof *release);
    release->broker = broker;
    release->claim = claim;
    rmt_auto(rmt_record) meta = rmt_member_meta(member);
    const rmt_call_t call = {"task_release", meta, claim, NULL};
    rmt_state_call(broker->state, &call, s_on_release, release);
}

void
rmt_worker_msgs_result(rmt_broker_t *broker, rmt_member_t *member, rmt_msg_t *msg)
{
    if (!s_hold(broker, member))
        return; // It is sent again
    (void) rmt_msg_body(msg);
    rmt_record_t *claim = s_claim(broker, member, msg);
    if (msg->code == RMT_E_CANCELLED) {
        s_release(broker, member, claim);
        return;
    }
    rmt_driver_result(broker->driver, &claim, &msg->body, s_recorded);
}
