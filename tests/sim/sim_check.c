#include "sim/sim_check.h"

#include <stdarg.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "sim/sim_farm.h"
#include "sim/sim_net.h"
#include "sim/sim_state.h"

#define JOBS_MAX 64
#define LOOK_EVERY (5 * SIM_S)

typedef struct {
    char id[33];
    bool is_kept; // A restored Redis must have it
} job_t;

typedef struct {
    sim_fence_t highest; // That the disk has seen, over all starts of the machine
    bool is_written;     // A writer has it
} disk_t;

static struct {
    char fault[400];
    job_t jobs[JOBS_MAX];
    size_t job_count;
    unsigned orders;
    bool is_restored; // An older Redis has come back
    disk_t disks[SIM_NODES];
    int64_t looked_at;
    struct {
        const sim_process_t *process;
        uint64_t life;
        uint64_t ms, n; // Of the last event that it published
    } heard[SIM_BROKERS];
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
    const char *fault = rmt_record_text(reply->body, "fault", "");
    if (*fault)
        sim_check_fail("%s", fault);
    s_check.looked_at = sim_now();
}

static const char *
s_text(const rmt_record_t *record, const char *name)
{
    return record ? rmt_record_text(record, name, "") : "";
}

static void
s_on_call(const rmt_call_t *call, const rmt_msg_t *reply)
{
    const bool may_change = s_may_change_locks(call->function);
    if (!reply) {
        // What changed since the last look was changed by none of the calls that may.
        if (may_change && sim_now() - s_check.looked_at > 0)
            s_watch("another call", "", "");
        return;
    }
    if (reply->code == RMT_E_INTERNAL)
        sim_check_fail("%s: %s", call->function, reply->text);
    if (may_change)
        s_watch(call->function, s_text(call->meta, "epoch"),
                s_text(call->body, "target"));
    else if (sim_now() - s_check.looked_at > LOOK_EVERY)
        s_watch(call->function, "", "");
}

// Entries of the audit stream are published in their order, each once.
static void
s_on_event(const sim_process_t *process, const rmt_msg_t *msg)
{
    if (!msg->cursor || !*msg->cursor)
        return; // Of progress, which has no entry
    uint64_t ms = 0, n = 0;
    (void) sscanf(msg->cursor, "%" SCNu64 "-%" SCNu64, &ms, &n);
    for (size_t i = 0; i < SIM_BROKERS; i++) {
        if (sim_farm_broker(i) != process)
            continue;
        const bool is_same =
            s_check.heard[i].process == process && s_check.heard[i].life == process->life;
        if (is_same && (ms < s_check.heard[i].ms ||
                        (ms == s_check.heard[i].ms && n < s_check.heard[i].n)))
            sim_check_fail("%s published %s behind a younger entry", process->name,
                           msg->cursor);
        s_check.heard[i].process = process;
        s_check.heard[i].life = process->life;
        s_check.heard[i].ms = ms;
        s_check.heard[i].n = n;
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
}

void
sim_check_write(size_t machine, const sim_fence_t *fence)
{
    if (s_is_older(fence, &s_check.disks[machine].highest))
        sim_check_fail("machine %zu is written behind a newer GO", machine);
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
sim_check_acknowledged(const char *job)
{
    for (size_t i = 0; i < s_check.job_count; i++)
        if (streq(s_check.jobs[i].id, job))
            return;
    // An answer may have been under way when an older Redis came back.
    if (s_check.job_count == JOBS_MAX || (s_check.is_restored && !s_has_job(job)))
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
    memset(s_check.heard, 0, sizeof s_check.heard);
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_msg) reply = s_ask("watch_begin", body, NULL);
}

static rmt_msg_t *
s_ask_end(void)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set_u64(body, "orders", s_check.orders);
    return s_ask("watch_end", body, NULL);
}

bool
sim_check_is_quiet(void)
{
    rmt_auto(rmt_msg) reply = s_ask_end();
    return rmt_records_count(reply->items) == 0;
}

// What was acknowledged is there.
static void
s_check_jobs(void)
{
    for (size_t i = 0; i < s_check.job_count; i++)
        if (!s_has_job(s_check.jobs[i].id))
            sim_check_fail("job %s was acknowledged and is lost", s_check.jobs[i].id);
}

static void
s_check_present(void)
{
    rmt_auto(rmt_records) items = rmt_records_new();
    for (size_t i = 0; i < SIM_NODES; i++) {
        const sim_process_t *node = sim_farm_node(i);
        if (!sim_farm_is_expected(node))
            continue;
        rmt_record_t *item = rmt_records_add(items);
        rmt_record_set(item, "name", node->name);
        rmt_record_set(item, "role", sim_farm_role(i));
    }
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_msg) reply = s_ask("watch_present", body, items);
    for (size_t i = 0; i < rmt_records_count(reply->items); i++) {
        const rmt_record_t *item = rmt_records_at(reply->items, i);
        if (!rmt_record_is(item, "present", "yes"))
            sim_check_fail("%s runs and is absent", rmt_record_text(item, "name", ""));
    }
}

void
sim_check_end(void)
{
    rmt_auto(rmt_msg) reply = s_ask_end();
    const char *fault = rmt_record_text(reply->body, "fault", "");
    if (*fault)
        sim_check_fail("%s", fault);
    for (size_t i = 0; i < rmt_records_count(reply->items); i++) {
        const rmt_record_t *item = rmt_records_at(reply->items, i);
        sim_check_fail("job %s of kind %s is %s at %s for ever: %s", s_text(item, "job"),
                       s_text(item, "kind"), s_text(item, "state"), s_text(item, "stage"),
                       s_text(item, "stuck"));
    }
    s_check_jobs();
    s_check_present();
}

void
sim_check_begin(void)
{
    memset(&s_check, 0, sizeof s_check);
    sim_state_on_call(s_on_call);
    sim_net_on_event(s_on_event);
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "all", "yes");
    rmt_auto(rmt_msg) reply = s_ask("watch_begin", body, NULL);
}
