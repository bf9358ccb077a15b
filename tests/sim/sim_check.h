// sim_check - what must hold in every world; a violation is noted, and the seed has
// failed.
#pragma once

#include "sim/sim_redis.h"
#include "sim/sim_world.h"

void sim_check_begin(void);
// The text of the first violation, or NULL.
const char *sim_check_fault(void);
// Note one; the first counts.
void sim_check_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

// A machine lets a GO through, writes, or lets its disk go; fence as era, epoch, attempt.
typedef struct {
    uint32_t era;
    uint64_t epoch;
    uint32_t attempt;
} sim_fence_t;
void sim_check_go(size_t machine, const char *target, const sim_fence_t *fence);
void sim_check_write(size_t machine, const sim_fence_t *fence);
// The write with this fence has come to its end.
void sim_check_written(size_t machine, const sim_fence_t *fence);
void sim_check_let_go(size_t machine);
// How many GOs were let through.
unsigned sim_check_gos(void);

// The console has been told that a job exists; it has sent one more order that makes one.
// asked_at: when it asked last.
void sim_check_acknowledged(const char *job, int64_t asked_at);
void sim_check_ordered(void);
// Redis goes back to the copy of this moment: what came since may be lost.
void sim_check_kept(void);
void sim_check_restored(void);

// Is it so now that a lock is "armed", or that an agent is "preparing" a GO?
bool sim_check_is(const char *stage);

// No task is silent whose machine is to be heard of. When the farm has been whole for
// some time.
void sim_check_heard(void);

// No job is open that was acknowledged.
bool sim_check_is_quiet(void);
// What the audit stream has now must be in the files of all brokers at the end.
void sim_check_entries(void);
// At the end, when the farm has been whole for some time.
void sim_check_end(void);
