#include "sim/sim_check.h"

#include <stdarg.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "sim/sim_audit.h"
#include "sim/sim_farm.h"
#include "sim/sim_net.h"
#include "sim/sim_state.h"

#define JOBS_MAX 64
#define LOOK_EVERY (5 * SIM_S)
#define WRITES_MAX 256
#define ABSENT_TIME (40 * SIM_S) // From the end of a program until it is absent, at most

typedef struct {
    char id[33];
    bool is_kept; // A restored Redis must have it
} job_t;

typedef struct {
    size_t machine;
    uint64_t epoch;
} write_t;

// What a broker has published.
typedef struct {
    const sim_process_t *process;
    uint64_t life;
    uint64_t ms, n;   // Of the last event
    bool may_go_back; // Once, as an older Redis has come back
} heard_t;

typedef struct {
    sim_fence_t highest; // That the disk has seen, over all starts of the machine
    bool is_written;     // A writer has it
} disk_t;

static struct {
    char fault[400];
    job_t jobs[JOBS_MAX];
    size_t job_count;
    unsigned orders; // That may have made a job
    unsigned gos;
    bool is_restored; // An older Redis has come back
    int64_t restored_at;
    disk_t disks[SIM_NODES];
    write_t writes[WRITES_MAX]; // That were carried out whole
    size_t write_count;
    int64_t looked_at;
    bool is_tried; // The call that is carried out speaks of an attempt
    heard_t heard[SIM_BROKERS];
    // Of the last Redis that came back behind what this broker has published
    heard_t witness;
    uint64_t era_lost;      // The highest era before it
    rmt_records_t *entries; // Of the audit stream, some seconds before the end
} s_check;

void
sim_check_fail(const char *format, ...)
{
    if (*s_check.fault)
        return;
    va_list args;
    va_start(args, format);
    const int size = snprintf(s_check.fault, sizeof s_check.fault,
                              "%.3f s: ", (double) sim_now() / SIM_S);
    vsnprintf(s_check.fault + size, sizeof s_check.fault - (size_t) size, format, args);
    va_end(args);
}

const char *
sim_check_fault(void)
{
    return *s_check.fault ? s_check.fault : NULL;
}

static rmt_msg_t *
s_ask(const char *function, const rmt_record_t *body, const rmt_records_t *items)
{
    const rmt_call_t call = {.function = function, .body = body, .items = items};
    rmt_msg_t *reply = sim_state_ask(&call);
    if (reply->code == RMT_E_INTERNAL)
        sim_check_fail("%s", reply->text);
    return reply;
}

static void
s_judge(const rmt_msg_t *reply)
{
    const char *fault = rmt_record_text(reply->body, "fault", "");
    if (*fault)
        sim_check_fail("%s", fault);
}

static const char *
s_text(const rmt_record_t *record, const char *name)
{
    return record ? rmt_record_text(record, name, "") : "";
}

// ---- The state

// Those that change no lock are many; all are looked behind now and then.
static bool
s_may_change_locks(const char *function)
{
    static const char *const names[] = {"job_step",   "job_cancel", "target_confirm",
                                        "lock_break", "boot_reap",  NULL};
    for (size_t i = 0; names[i]; i++)
        if (streq(names[i], function))
            return true;
    return false;
}

static void
s_watch(const char *function, const char *epoch, const char *target)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "fn", function);
    rmt_record_set(body, "epoch", epoch);
    rmt_record_set(body, "target", target);
    rmt_auto(rmt_msg) reply = s_ask("watch", body, NULL);
    s_judge(reply);
    if (s_check.witness.process &&
        rmt_record_u64(reply->body, "era", 0) > s_check.era_lost)
        s_check.witness.process = NULL;
    s_check.looked_at = sim_now();
}

// Calls that one attempt of a task makes in the name of its worker.
static void
s_before_attempt(const rmt_call_t *call)
{
    const char *task = s_text(call->body, "task");
    const char *worker = s_text(call->body, "worker");
    s_check.is_tried = *task && *s_text(call->body, "attempt");
    if (!s_check.is_tried)
        return;
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "task", task);
    rmt_record_set(body, "attempt", s_text(call->body, "attempt"));
    rmt_record_set(body, "worker", *worker ? worker : s_text(call->meta, "by"));
    rmt_auto(rmt_msg) reply = s_ask("watch_attempt", body, NULL);
}

static void
s_after_attempt(const rmt_call_t *call)
{
    if (!s_check.is_tried)
        return;
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "fn", call->function);
    rmt_auto(rmt_msg) reply = s_ask("watch_tried", body, NULL);
    s_judge(reply);
}

static void
s_on_call(const rmt_call_t *call, const rmt_msg_t *reply)
{
    const bool may_change = s_may_change_locks(call->function);
    if (!reply) {
        // What changed since the last look was changed by none of the calls that may.
        if (may_change && sim_now() - s_check.looked_at > 0)
            s_watch("another call", "", "");
        s_before_attempt(call);
        return;
    }
    s_after_attempt(call);
    if (reply->code == RMT_E_INTERNAL)
        sim_check_fail("%s: %s", call->function, reply->text);
    if (streq(call->function, "job_step") && *s_text(reply->body, "error"))
        sim_check_fail("%s broke off: %s", call->function, s_text(reply->body, "error"));
    if (may_change)
        s_watch(call->function, s_text(call->meta, "epoch"),
                s_text(call->body, "target"));
    else if (sim_now() - s_check.looked_at > LOOK_EVERY)
        s_watch(call->function, "", "");
}

static bool
s_is_behind(const heard_t *a, const heard_t *b)
{
    return a->ms < b->ms || (a->ms == b->ms && a->n < b->n);
}

static void
s_read_id(heard_t *heard, const char *id)
{
    (void) sscanf(id, "%" SCNu64 "-%" SCNu64, &heard->ms, &heard->n);
}

static bool
s_still_lives(const heard_t *heard)
{
    return heard->process && heard->process->is_up && heard->life == heard->process->life;
}

// Entries of the audit stream are published in their order, each once.
static void
s_on_event(const sim_process_t *process, const rmt_msg_t *msg)
{
    if (!msg->cursor || !*msg->cursor)
        return; // Of progress, which has no entry
    heard_t now = {.process = process, .life = process->life};
    s_read_id(&now, msg->cursor);
    for (size_t i = 0; i < SIM_BROKERS; i++) {
        if (sim_farm_broker(i) != process)
            continue;
        const heard_t *last = &s_check.heard[i];
        now.may_go_back = last->may_go_back;
        if (s_still_lives(last) && s_is_behind(&now, last)) {
            if (!last->may_go_back)
                sim_check_fail("%s published %s behind a younger entry", process->name,
                               msg->cursor);
            now.may_go_back = false;
        }
        s_check.heard[i] = now;
    }
}

// ---- Disks

static bool
s_is_older(const sim_fence_t *a, const sim_fence_t *b)
{
    if (a->era != b->era)
        return a->era < b->era;
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch;
    return a->attempt < b->attempt;
}

void
sim_check_go(size_t machine, const char *target, const sim_fence_t *fence)
{
    disk_t *disk = &s_check.disks[machine];
    if (disk->is_written)
        sim_check_fail("two writers of %s", target);
    if (!s_is_older(&disk->highest, fence))
        sim_check_fail("%s lets an old GO through", target);
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "target", target);
    rmt_record_set_u64(body, "era", fence->era);
    rmt_record_set_u64(body, "epoch", fence->epoch);
    rmt_auto(rmt_msg) reply = s_ask("watch_armed", body, NULL);
    if (!rmt_record_is(reply->body, "armed", "yes"))
        sim_check_fail("%s is written, and was not armed at epoch %" PRIu64, target,
                       fence->epoch);
    disk->is_written = true;
    disk->highest = *fence;
    s_check.gos++;
}

unsigned
sim_check_gos(void)
{
    return s_check.gos;
}

void
sim_check_write(size_t machine, const sim_fence_t *fence)
{
    if (s_is_older(fence, &s_check.disks[machine].highest))
        sim_check_fail("%s is written behind a newer GO", sim_farm_node(machine)->name);
}

void
sim_check_written(size_t machine, const sim_fence_t *fence)
{
    if (s_check.write_count == WRITES_MAX)
        sim_check_fail("more than %d writes", WRITES_MAX);
    else
        s_check.writes[s_check.write_count++] = (write_t){machine, fence->epoch};
}

void
sim_check_let_go(size_t machine)
{
    s_check.disks[machine].is_written = false;
}

// ---- Jobs

static bool
s_has_job(const char *job)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "job", job);
    rmt_auto(rmt_msg) reply = s_ask("job_show", body, NULL);
    return reply->code == RMT_E_OK;
}

void
sim_check_acknowledged(const char *job, int64_t asked_at)
{
    for (size_t i = 0; i < s_check.job_count; i++)
        if (streq(s_check.jobs[i].id, job))
            return;
    // An answer may have been under way when an older Redis came back.
    const bool is_old = s_check.is_restored && asked_at <= s_check.restored_at;
    if (s_check.job_count == JOBS_MAX || (is_old && !s_has_job(job)))
        return;
    job_t *entry = &s_check.jobs[s_check.job_count++];
    *entry = (job_t){0};
    snprintf(entry->id, sizeof entry->id, "%s", job);
}

void
sim_check_ordered(void)
{
    s_check.orders++;
}

void
sim_check_kept(void)
{
    for (size_t i = 0; i < s_check.job_count; i++)
        s_check.jobs[i].is_kept = true;
}

void
sim_check_restored(void)
{
    size_t kept = 0;
    for (size_t i = 0; i < s_check.job_count; i++)
        if (s_check.jobs[i].is_kept)
            s_check.jobs[kept++] = s_check.jobs[i];
    s_check.job_count = kept;
    s_check.is_restored = true;
    s_check.restored_at = sim_now();
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_msg) reply = s_ask("watch_restored", body, NULL);
    heard_t last = {0};
    s_read_id(&last, s_text(reply->body, "last"));
    s_check.witness.process = NULL;
    s_check.era_lost = rmt_record_u64(reply->body, "era", 0);
    // What the lost Redis has answered may still lie with a broker that hangs, and is
    // published after this.
    for (size_t i = 0; i < SIM_BROKERS; i++) {
        if (s_still_lives(&s_check.heard[i]) && s_is_behind(&last, &s_check.heard[i]))
            s_check.witness = s_check.heard[i];
        s_check.heard[i].may_go_back = true;
    }
}

bool
sim_check_is(const char *stage)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_msg) reply = s_ask("watch_stage", body, NULL);
    return rmt_record_is(reply->body, stage, "yes");
}

static const sim_process_t *
s_node_of(const char *service)
{
    const char *name = strchr(service, '/');
    for (size_t i = 0; name && i < SIM_NODES; i++)
        if (streq(sim_farm_node(i)->name, name + 1))
            return sim_farm_node(i);
    return NULL;
}

void
sim_check_heard(void)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_msg) reply = s_ask("watch_silent", body, NULL);
    for (size_t i = 0; i < rmt_records_count(reply->items); i++) {
        const char *service = s_text(rmt_records_at(reply->items, i), "service");
        const sim_process_t *node = s_node_of(service);
        if (node && sim_farm_is_expected(node))
            sim_check_fail("%s is silent, and %s runs", service, node->name);
    }
}

bool
sim_check_is_quiet(void)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_msg) reply = s_ask("watch_quiet", body, NULL);
    return rmt_record_is(reply->body, "quiet", "yes");
}

// What was acknowledged is there. No order makes two jobs, and none is made that the
// console, which has an answer to each order by now, was not told of.
static void
s_check_jobs(uint64_t jobs)
{
    for (size_t i = 0; i < s_check.job_count; i++)
        if (!s_has_job(s_check.jobs[i].id))
            sim_check_fail("job %s was acknowledged and is lost", s_check.jobs[i].id);
    const uint64_t told = s_check.is_restored ? s_check.orders : s_check.job_count;
    if (jobs > told)
        sim_check_fail("%" PRIu64 " jobs came of %" PRIu64 " orders", jobs, told);
}

// An install that a job counts as done was written whole, at the epoch of its lock.
static void
s_check_done(void)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_msg) reply = s_ask("watch_done", body, NULL);
    for (size_t i = 0; i < rmt_records_count(reply->items); i++) {
        const rmt_record_t *item = rmt_records_at(reply->items, i);
        const uint64_t epoch = rmt_record_u64(item, "epoch", 0);
        bool is_written = false;
        for (size_t n = 0; n < s_check.write_count; n++) {
            const write_t *write = &s_check.writes[n];
            is_written = is_written || (write->epoch == epoch &&
                                        streq(sim_farm_node(write->machine)->name,
                                              s_text(item, "target")));
        }
        if (!is_written)
            sim_check_fail("%s is done in job %s and was not written at epoch %" PRIu64,
                           s_text(item, "target"), s_text(item, "job"), epoch);
    }
}

static rmt_records_t *
s_all_nodes(void)
{
    rmt_records_t *items = rmt_records_new();
    for (size_t i = 0; i < SIM_NODES; i++) {
        rmt_record_t *item = rmt_records_add(items);
        rmt_record_set(item, "name", sim_farm_node(i)->name);
        rmt_record_set(item, "role", sim_farm_role(i));
    }
    return items;
}

// Who runs is present; who is gone is absent; of the programs that come back, all run.
static void
s_check_present(void)
{
    rmt_auto(rmt_records) nodes = s_all_nodes();
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_msg) reply = s_ask("watch_present", body, nodes);
    if (rmt_records_count(reply->items) != SIM_NODES)
        sim_check_fail("the presence of %zu programs is known, and not of %d",
                       rmt_records_count(reply->items), SIM_NODES);
    for (size_t i = 0; i < rmt_records_count(reply->items); i++) {
        const rmt_record_t *item = rmt_records_at(reply->items, i);
        const sim_process_t *node = sim_farm_node(i);
        if (sim_farm_is_expected(node) && !rmt_record_is(item, "present", "yes"))
            sim_check_fail("%s runs and is absent", node->name);
        if (sim_farm_is_gone(node, ABSENT_TIME) && !rmt_record_is(item, "absent", "yes"))
            sim_check_fail("%s is gone and is present", node->name);
        if (i != SIM_SPARE && i < SIM_NODES - SIM_TARGETS && !node->is_up)
            sim_check_fail("%s does not run in the end", node->name);
    }
}

static void
s_check_era(void)
{
    if (s_still_lives(&s_check.witness))
        sim_check_fail("Redis came back behind what %s had published, and its era is not "
                       "above %" PRIu64,
                       s_check.witness.process->name, s_check.era_lost);
}

void
sim_check_entries(void)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    size_t count;
    rmt_records_destroy(&s_check.entries);
    s_check.entries = rmt_records_new();
    do {
        rmt_auto(rmt_msg) reply = s_ask("audit_read", body, NULL);
        count = rmt_records_count(reply->items);
        rmt_record_set(body, "after", s_text(reply->body, "last"));
        for (size_t i = 0; i < count; i++) {
            rmt_record_t *entry = rmt_record_dup(rmt_records_at(reply->items, i));
            (void) rmt_records_append(s_check.entries, &entry);
        }
    } while (count > 0);
}

// All that the stream had is in the files of each broker, which are whole.
static void
s_check_audit(void)
{
    const char *fault = sim_audit_fault();
    if (fault)
        sim_check_fail("%s", fault);
    for (size_t i = 0; i < rmt_records_count(s_check.entries); i++) {
        const rmt_record_t *entry = rmt_records_at(s_check.entries, i);
        for (size_t n = 0; n < SIM_BROKERS; n++)
            if (!sim_audit_has(sim_farm_audit_folder(n), entry))
                sim_check_fail("%s lacks the entry %s %s", sim_farm_audit_folder(n),
                               s_text(entry, "id"), s_text(entry, "what"));
    }
}

void
sim_check_end(void)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_msg) reply = s_ask("watch_end", body, NULL);
    s_judge(reply);
    for (size_t i = 0; i < rmt_records_count(reply->items); i++) {
        const rmt_record_t *item = rmt_records_at(reply->items, i);
        sim_check_fail("job %s of kind %s is %s at %s for ever: %s", s_text(item, "job"),
                       s_text(item, "kind"), s_text(item, "state"), s_text(item, "stage"),
                       s_text(item, "stuck"));
    }
    s_check_jobs(rmt_record_u64(reply->body, "jobs", 0));
    s_check_done();
    s_check_present();
    s_check_era();
    s_check_audit();
}

void
sim_check_begin(void)
{
    rmt_records_destroy(&s_check.entries);
    memset(&s_check, 0, sizeof s_check);
    sim_state_on_call(s_on_call);
    sim_net_on_event(s_on_event);
}
