// ramet-sim: run seeds of the simulation.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/rmt_auto.h"
#include "base/rmt_log.h"
#include "base/rmt_signals.h"
#include "sim/sim_bugs.h"
#include "sim/sim_check.h"

static const char s_usage[] =
    "ramet-sim [--seed N] [--count N] [--bug NAME [--all]] [--calm] [--traces] [-v]\n"
    "Run a farm in one process, over a clock, a network and a Redis that are played,\n"
    "and check what must hold. One seed is one run, and replays exactly.\n"
    "\n"
    "  --seed N    first seed; 1 when not given\n"
    "  --count N   number of seeds; when not given 1, with --bug those that should do\n"
    "  --bug NAME  with a mistake that is put there; ends with success when it is found\n"
    "  --all       run all seeds, to count those that find it\n"
    "  --calm      without faults\n"
    "  --traces    tell the trace of each seed, which is the same in every run\n"
    "  -v          show what the programs log\n";

#define VIOLATIONS_MAX 10 // More say nothing new
#define FOUND_SLACK 4     // Seeds change with the programs
#define SEEDS_MANY 20     // So many let GOs through, whatever goes wrong in each

typedef struct {
    uint64_t first, count;
    const sim_bug_t *bug;
    bool is_calm, tells_traces, runs_all;
} order_t;

static double
s_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

typedef struct {
    uint64_t done, failed, gos, trace;
} sum_t;

static void
s_run_seed(const order_t *order, sim_redis_t *redis, uint64_t seed, sum_t *sum)
{
    const char *fault = sim_seed_run(redis, order->bug, seed, !order->is_calm);
    sum->done++;
    sum->gos += sim_check_gos();
    sum->trace ^= sim_trace() + seed;
    if (order->tells_traces)
        printf("seed %llu: trace %016llx\n", (unsigned long long) seed,
               (unsigned long long) sim_trace());
    if (fault && ++sum->failed <= VIOLATIONS_MAX)
        printf("seed %llu: %s\n", (unsigned long long) seed, fault);
}

// Where nothing is installed, nothing that could be wrong is seen.
static bool
s_is_idle(const sum_t *sum)
{
    const bool is_idle = sum->gos < sum->done;
    if (is_idle)
        printf("%llu seeds let %llu GOs through: there must be one for each\n",
               (unsigned long long) sum->done, (unsigned long long) sum->gos);
    return is_idle;
}

static int
s_run(const order_t *order)
{
    rmt_auto(sim_redis) redis = sim_bugs_redis(order->bug);
    const double began = s_seconds();
    const bool is_hunt = order->bug != sim_bugs_find("none");
    const uint64_t enough = order->runs_all ? UINT64_MAX : is_hunt ? 1 : VIOLATIONS_MAX;
    sum_t sum = {0};
    while (sum.done < order->count && sum.failed < enough)
        s_run_seed(order, redis, order->first + sum.done, &sum);
    printf("%llu seeds, %llu with a violation, %llu GOs, %.1f ms each, trace %016llx\n",
           (unsigned long long) sum.done, (unsigned long long) sum.failed,
           (unsigned long long) sum.gos, (s_seconds() - began) * 1000 / (double) sum.done,
           (unsigned long long) sum.trace);
    if (is_hunt)
        return sum.failed == 0;
    return sum.failed > 0 || (sum.done >= SEEDS_MANY && s_is_idle(&sum));
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'}, {"count", required_argument, NULL, 'n'},
        {"bug", required_argument, NULL, 'b'},  {"calm", no_argument, NULL, 'c'},
        {"all", no_argument, NULL, 'a'},        {"traces", no_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},       {0}};
    order_t order = {.first = 1, .bug = sim_bugs_find("none")};
    rmt_signals_block();
    rmt_log_set_level(RMT_ERROR);
    for (int option; (option = getopt_long(argc, argv, "v", options, NULL)) != -1;) {
        if (option == 's')
            order.first = strtoull(optarg, NULL, 10);
        else if (option == 'n')
            order.count = strtoull(optarg, NULL, 10);
        else if (option == 'b')
            order.bug = sim_bugs_find(optarg);
        else if (option == 'c')
            order.is_calm = true;
        else if (option == 'a')
            order.runs_all = true;
        else if (option == 't')
            order.tells_traces = true;
        else if (option == 'v')
            rmt_log_set_level(RMT_DEBUG);
        else
            return fputs(s_usage, option == 'h' ? stdout : stderr) < 0 || option != 'h';
    }
    if (!order.bug) {
        sim_bugs_list(stderr);
        return 64;
    }
    if (order.count == 0)
        order.count =
            order.bug->found > 0 ? FOUND_SLACK * (uint64_t) order.bug->found : 1;
    return s_run(&order);
}
