#include "sim/sim_seed.h"

#include "sim/sim_audit.h"
#include "sim/sim_check.h"
#include "sim/sim_console.h"
#include "sim/sim_net.h"
#include "sim/sim_state.h"

#define SLOT_OLD 0             // For a Redis that is restored
#define SLOT_SYNCED 1          // For one that answers before it has written
#define SETTLE (45 * SIM_S)    // Until presence is right again
#define WRITTEN (20 * SIM_S)   // Until an entry of the audit is in a file
#define SEARCH (95 * SIM_S)    // Until a peer has found its broker, at the latest
#define BY_HAND (100 * SIM_S)  // Until the person no longer trusts the netboot
#define PATIENCE (700 * SIM_S) // Until all jobs end, when faults have stopped
#define CLOCK_JUMP_MS 7200000  // Either way
#define REFUSED_EVERY 8        // Of so many seeds one has a machine that no GO fits
#define ROUND (15 * SIM_S)     // Of the person at the farm

// The faults of one seed: each kind is there or not, and comes more or less often.
typedef enum {
    FAULT_KILL,
    FAULT_PAUSE,
    FAULT_CUT,
    FAULT_BLOCK,
    FAULT_REDIS_CRASH,
    FAULT_REDIS_PAUSE,
    FAULT_REDIS_CUT,
    FAULT_REDIS_RESTORE,
    FAULT_CLOCK,
    FAULT_REDIS_CLOCK,
    FAULT_LATE,
    FAULT_REPLAY,
    FAULT_LEAVE,
    FAULT_COUNT
} fault_t;

static struct {
    bool has[FAULT_COUNT];
    int64_t pause_max, until;
    unsigned gos_kept; // When the copy was made
    bool is_kept, is_aimed, is_forsaken, loses_writes;
} s_seed;

static sim_process_t *
s_some_process(void)
{
    const size_t at = sim_random() % (SIM_BROKERS + SIM_NODES);
    return at < SIM_BROKERS ? sim_farm_broker(at) : sim_farm_node(at - SIM_BROKERS);
}

// A broker, perhaps the one that alone knows what Redis has lost, stays away, and all
// targets lose their power.
static void
s_forsake(void)
{
    sim_process_t *broker = sim_farm_broker(sim_random() % SIM_BROKERS);
    sim_process_kill(broker);
    const int64_t away = sim_between(20, 90) * SIM_S, left = s_seed.until - sim_now();
    sim_farm_restart(broker, away < left ? away : left);
    for (size_t i = SIM_NODES - SIM_TARGETS; i < SIM_NODES; i++)
        sim_process_kill(sim_farm_node(i));
}

static void
s_restore(void)
{
    if (!s_seed.is_kept)
        return;
    if (s_seed.is_forsaken)
        s_forsake();
    sim_state_crash(sim_between(SIM_S / 2, 5 * SIM_S), SLOT_OLD);
    sim_check_restored();
    s_seed.is_kept = false;
}

static void
s_crash_redis(void)
{
    sim_state_crash(sim_between(SIM_S / 2, 5 * SIM_S),
                    s_seed.loses_writes ? SLOT_SYNCED : -1);
}

static void
s_kill(sim_process_t *process)
{
    if (!process->is_up)
        return;
    sim_process_kill(process);
    sim_farm_restart(process, sim_between(SIM_S / 2, 20 * SIM_S));
}

static void
s_on_death(void *context, bool is_void)
{
    if (!is_void && sim_now() < s_seed.until)
        s_kill(context);
}

// A broker stops with words of a worker that it has not read, and the worker begins a new
// life meanwhile: what the old one said comes late.
static void
s_be_late(void)
{
    sim_process_t *broker = sim_farm_broker(sim_random() % SIM_BROKERS);
    broker->paused_until = sim_now() + sim_between(15 * SIM_S, 40 * SIM_S);
    sim_process_t *node = sim_farm_node(sim_random() % SIM_NODES);
    if (node->is_up)
        sim_after(sim_between(SIM_S / 2, 4 * SIM_S), node, s_on_death, node);
}

static void
s_do(fault_t fault)
{
    sim_process_t *process = s_some_process();
    sim_note("fault", &fault, sizeof fault);
    switch (fault) {
    case FAULT_KILL:
        s_kill(process);
        break;
    case FAULT_PAUSE:
        process->paused_until = sim_now() + sim_between(SIM_S / 2, s_seed.pause_max);
        break;
    case FAULT_CUT:
        sim_net_cut(process);
        break;
    case FAULT_BLOCK:
        sim_net_block(process, sim_between(SIM_S, 30 * SIM_S));
        break;
    case FAULT_REDIS_CRASH:
        s_crash_redis();
        break;
    case FAULT_REDIS_PAUSE:
        sim_state_pause(sim_between(SIM_S, 12 * SIM_S));
        break;
    case FAULT_REDIS_CUT:
        sim_state_cut(sim_farm_broker(sim_random() % SIM_BROKERS));
        break;
    case FAULT_REDIS_RESTORE:
        s_restore();
        break;
    case FAULT_CLOCK:
        process->wall_ms = sim_between(-CLOCK_JUMP_MS, CLOCK_JUMP_MS);
        break;
    case FAULT_REDIS_CLOCK:
        sim_state_shift(sim_between(-CLOCK_JUMP_MS, CLOCK_JUMP_MS));
        break;
    case FAULT_LATE:
        s_be_late();
        break;
    case FAULT_REPLAY:
        (void) sim_net_replay(sim_farm_node(SIM_NODES - 1 - sim_random() % SIM_TARGETS));
        break;
    case FAULT_LEAVE: // For good: another one of its place can do the same
        sim_process_kill(sim_farm_node(SIM_SPARE));
        break;
    case FAULT_COUNT:
        break;
    }
}

static void
s_on_fault(void *context, bool is_void)
{
    (void) context;
    if (is_void || sim_now() >= s_seed.until)
        return;
    const fault_t fault = (fault_t) (sim_random() % FAULT_COUNT);
    if (s_seed.has[fault])
        s_do(fault);
    sim_after(sim_between(SIM_S / 10, 3 * SIM_S), NULL, s_on_fault, NULL);
}

static void
s_on_restore(void *context, bool is_void)
{
    (void) context;
    if (!is_void && sim_now() < s_seed.until)
        s_restore();
}

// As soon as a GO has passed that the copy does not have.
static void
s_on_await_go(void *context, bool is_void)
{
    (void) context;
    if (is_void || sim_now() >= s_seed.until || !s_seed.is_kept)
        return;
    if (sim_check_gos() > s_seed.gos_kept)
        s_restore();
    else
        sim_after(SIM_S / 20, NULL, s_on_await_go, NULL);
}

// Often at a moment when an agent prepares a GO, and back soon: it still does.
static void
s_on_keep(void *context, bool is_void)
{
    sim_redis_t *redis = context;
    if (is_void || sim_now() >= s_seed.until)
        return;
    if (s_seed.is_aimed && !sim_check_is("preparing")) {
        sim_after(SIM_S / 3, NULL, s_on_keep, redis);
        return;
    }
    sim_redis_keep(redis, SLOT_OLD);
    sim_check_kept();
    s_seed.is_kept = true;
    s_seed.gos_kept = sim_check_gos();
    if (s_seed.is_forsaken)
        sim_after(SIM_S / 20, NULL, s_on_await_go, NULL);
    else if (s_seed.is_aimed)
        sim_after(sim_between(SIM_S / 5, 2 * SIM_S), NULL, s_on_restore, NULL);
}

static void
s_on_sync(void *context, bool is_void)
{
    sim_redis_t *redis = context;
    if (is_void || sim_now() >= s_seed.until)
        return;
    sim_redis_keep(redis, SLOT_SYNCED);
    sim_after(SIM_S, NULL, s_on_sync, redis);
}

static void
s_on_round(void *context, bool is_void)
{
    (void) context;
    if (is_void)
        return;
    sim_farm_wake_machines(sim_now() > s_seed.until + BY_HAND);
    sim_after(ROUND, NULL, s_on_round, NULL);
}

static void
s_plan_faults(sim_redis_t *redis)
{
    for (size_t i = 0; i < FAULT_COUNT; i++)
        s_seed.has[i] = sim_chance(i == FAULT_REDIS_RESTORE ? 200 : 500);
    s_seed.is_aimed = sim_chance(700);
    s_seed.is_forsaken = sim_chance(500);
    s_seed.pause_max = sim_between(2, 60) * SIM_S;
    s_seed.until = sim_between(40, 120) * SIM_S;
    sim_after(SIM_S, NULL, s_on_fault, NULL);
    if (s_seed.has[FAULT_REDIS_RESTORE])
        sim_after(sim_between(5 * SIM_S, s_seed.until), NULL, s_on_keep, redis);
    if (s_seed.loses_writes)
        sim_after(0, NULL, s_on_sync, redis);
}

// All is whole again: what was killed comes back, what was stopped goes on.
static void
s_heal(void)
{
    for (size_t i = 0; i < SIM_BROKERS + SIM_NODES; i++) {
        sim_process_t *process =
            i < SIM_BROKERS ? sim_farm_broker(i) : sim_farm_node(i - SIM_BROKERS);
        process->paused_until = 0;
        process->blocked_until = 0;
    }
}

static void
s_run_until(int64_t until)
{
    while (!sim_check_fault() && sim_step(until)) {
    }
}

static void
s_await_quiet(void)
{
    const int64_t limit = sim_now() + PATIENCE;
    while (!sim_check_fault() && sim_now() < limit &&
           !(sim_console_is_done() && sim_check_is_quiet())) {
        s_run_until(sim_now() + 2 * SIM_S);
        if (sim_now() > s_seed.until + SEARCH)
            sim_check_heard();
    }
    s_run_until(sim_now() + SETTLE);
    if (!sim_console_is_done())
        sim_check_fail("the console has not come to its end: %s", sim_console_words());
}

const char *
sim_seed_run(sim_redis_t *redis, const sim_bug_t *bug, uint64_t seed, bool with_faults)
{
    s_seed.until = 0;
    s_seed.is_kept = false;
    s_seed.loses_writes = bug->loses_writes;
    sim_world_begin(seed);
    sim_redis_begin(redis, (uint32_t) seed);
    sim_net_set_delay(sim_chance(500) ? 5 * SIM_MS : 300 * SIM_MS);
    sim_state_set_delay(sim_chance(700) ? 2 * SIM_MS : 200 * SIM_MS);
    sim_state_begin(redis);
    sim_check_begin();
    sim_audit_begin();
    sim_farm_begin(bug->agent, with_faults && seed % REFUSED_EVERY == 0);
    sim_console_begin((unsigned) sim_between(0, with_faults ? 4 : 0));
    sim_after(ROUND, NULL, s_on_round, NULL);
    if (with_faults)
        s_plan_faults(redis);
    s_run_until(s_seed.until);
    s_heal();
    s_await_quiet();
    sim_check_entries();
    s_run_until(sim_now() + WRITTEN);
    if (!sim_check_fault())
        sim_check_end();
    if (!with_faults && sim_check_gos() == 0)
        sim_check_fail("nothing went wrong, and no target was written");
    sim_world_end();
    sim_farm_end();
    sim_audit_end();
    sim_state_end();
    sim_net_end();
    return sim_check_fault();
}
