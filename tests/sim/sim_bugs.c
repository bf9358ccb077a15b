#include "sim/sim_bugs.h"

#include <assert.h>
#include <string.h>
#include "base/rmt_auto.h"

#define PATCH(was, is) ((const sim_patch_t[]){{was, is}, {NULL, NULL}})

static const sim_bug_t s_bugs[] = {
    {.name = "none"},
    {.name = "lost-fsync", .found = 11, .loses_writes = true},
    {.name = "no-gate-at-agent", .found = 8, .agent = SIM_BUG_NO_GATE},
    {.name = "no-new-life-at-agent", .found = 122, .agent = SIM_BUG_NO_NEW_LIFE},
    {.name = "lock-lapses",
     .found = 79,
     .patches =
         PATCH("local found = call('HMGET', P .. 'job:' .. job .. ':t:' .. target, "
               "'phase', 'heard')",
               "local found = { call('DEL', P .. 'lock:' .. target) == 5 }")},
    {.name = "armed-lock-released",
     .found = 5,
     .patches = PATCH("if R.is('lock', lock, 'taken') and lock.job == job and "
                      "is_of_this_era(lock) then",
                      "if lock and lock.job == job then\n"
                      "call('HDEL', lock_key(target), 'armed')")},
    {.name = "no-attempt-check",
     .found = 8,
     .patches = PATCH("return task and task.worker == key and task.attempt == attempt",
                      "return task and task.worker == key")},
    {.name = "result-twice",
     .found = 26,
     .patches = PATCH("return { recorded = 'before' }", "task, body.rev = nil, job.rev")},
    {.name = "arm-without-lock",
     .found = 186,
     .patches = PATCH("if not task or not R.lock_stands(op.target, job.id, task.epoch) "
                      "then",
                      "if not task then")},
    {.name = "join-forgotten",
     .found = 1,
     .patches = PATCH("call('HINCRBY', P .. 'job:' .. job.id, field, value)",
                      "call('HINCRBY', P .. 'job:' .. job.id, field, "
                      "field == 'waiting' and 0 or value)")},
    {.name = "end-not-looked-at",
     .found = 9,
     .patches = PATCH("call('HINCRBY', job_key(uid), 'rev', 1)\n"
                      "            call('SADD', P .. 'drive', uid)",
                      "call('HINCRBY', job_key(uid), 'rev', 1)")},
    {.name = "lease-not-reaped",
     .found = 15,
     .patches = PATCH("ipairs(due('leases', now()))", "ipairs(due('leases', 0))")},
    {.name = "no-idempotency",
     .found = 12,
     .patches = PATCH("local old = idem and answer_before(idem, name, print)",
                      "local old = nil")},
    {.name = "era-not-raised",
     .found = 6,
     .patches = PATCH("    if behind then\n        era = math.max",
                      "    behind = false\n    if behind then\n        era = math.max")},
    {.name = "awaited-broker-ignored",
     .found = 5,
     .patches =
         PATCH("if R.is_go(body.service) and R.brokers_awaited() then", "if false then")},
    {.name = "take-for-an-old-greeting",
     .found = 5547,
     .patches = PATCH("if greeting ~= (body.greeting or '') then", "if false then")},
    {.name = "live-writer-taken-over",
     .found = 7,
     .patches = PATCH("if agent.nonce == lock.nonce or num(agent.since) <= go then",
                      "if false then")},
    {.name = "go-refused-without-end",
     .found = 8,
     .patches = PATCH("if count >= most then", "if false then")},
    {.name = "audit-told-twice",
     .found = 1,
     .patches =
         PATCH("gap = is_gap and 'yes' or nil }, (entries_after(body.id))",
               "gap = is_gap and 'yes' or nil }, (entries_after(file.id or '0-0'))")},
    {.name = "audit-restore-unseen",
     .found = 6,
     .patches = PATCH("if is_lost(body.id, body.moment) then", "if false then")},
};
#define BUGS (sizeof s_bugs / sizeof *s_bugs)

const sim_bug_t *
sim_bugs_find(const char *name)
{
    for (size_t i = 0; i < BUGS; i++)
        if (streq(s_bugs[i].name, name))
            return &s_bugs[i];
    return NULL;
}

void
sim_bugs_list(FILE *file)
{
    fputs("the mistakes are:", file);
    for (size_t i = 0; i < BUGS; i++)
        fprintf(file, "%s %s (seed %u)", i > 0 ? "," : "", s_bugs[i].name,
                s_bugs[i].found);
    fputc('\n', file);
}

sim_redis_t *
sim_bugs_redis(const sim_bug_t *bug)
{
    rmt_auto(zchunk) content = zchunk_slurp(SIM_FOLDER "/watch.lua", 1 << 20);
    assert(content);
    rmt_auto_str watch = zchunk_strdup(content);
    sim_redis_t *redis = sim_redis_new(watch, bug->patches);
    sim_farm_seed(redis);
    sim_redis_fix(redis);
    return redis;
}
