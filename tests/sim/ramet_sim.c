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

static const char s_usage[] =
    "ramet-sim [--seed N] [--count N] [--bug NAME] [--calm] [-v]\n"
    "Run a farm in one process, over a clock, a network and a Redis that are played,\n"
    "and check what must hold. One seed is one run, and replays exactly.\n"
    "\n"
    "  --seed N    first seed; 1 when not given\n"
    "  --count N   number of seeds; 1 when not given\n"
    "  --bug NAME  with a mistake that is put there; ends with success when it is found\n"
    "  --calm      without faults\n"
    "  -v          show what the programs log\n";

#define VIOLATIONS_MAX 10 // More say nothing new

typedef struct {
    uint64_t first, count;
    const sim_bug_t *bug;
    bool is_calm;
} order_t;

static double
s_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static int
s_run(const order_t *order)
{
    rmt_auto(sim_redis) redis = sim_bugs_redis(order->bug);
    const double began = s_seconds();
    uint64_t failed = 0, trace = 0, done = 0;
    const bool is_hunt = order->bug != sim_bugs_find("none");
    const uint64_t enough = is_hunt ? 1 : VIOLATIONS_MAX;
    for (; done < order->count && failed < enough; done++) {
        const uint64_t seed = order->first + done;
        const char *fault = sim_seed_run(redis, order->bug, seed, !order->is_calm);
        trace ^= sim_trace() + seed;
        if (!fault)
            continue;
        failed++;
        printf("seed %llu: %s\n", (unsigned long long) seed, fault);
    }
    printf("%llu seeds, %llu with a violation, %.1f ms each, trace %016llx\n",
           (unsigned long long) done, (unsigned long long) failed,
           (s_seconds() - began) * 1000 / (double) done, (unsigned long long) trace);
    return (failed > 0) == is_hunt ? 0 : 1;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'}, {"count", required_argument, NULL, 'n'},
        {"bug", required_argument, NULL, 'b'},  {"calm", no_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},       {0}};
    order_t order = {.first = 1, .count = 1, .bug = sim_bugs_find("none")};
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
        else if (option == 'v')
            rmt_log_set_level(RMT_DEBUG);
        else
            return fputs(s_usage, option == 'h' ? stdout : stderr) < 0 || option != 'h';
    }
    if (!order.bug || order.count == 0) {
        sim_bugs_list(stderr);
        return 64;
    }
    return s_run(&order);
}
