// sim_world - time, chance, and what happens next, in one world at a time.
//
// A world is begun from a seed and replays exactly: all time is that of the world, all
// chance comes from the seed, and things happen one after another in one thread. While a
// process has its turn, rmt_clock and rmt_random are its own.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_MS 1000 // Microseconds, the unit of the world's time
#define SIM_S (1000 * SIM_MS)

typedef struct sim_process sim_process_t;

// What a process does when something has come for it, or its time has come. Returns
// milliseconds until its next turn is due; -1: it has ended.
typedef long(sim_turn_fn)(sim_process_t *process);
typedef void(sim_life_fn)(sim_process_t *process);

struct sim_process {
    char name[32];
    bool is_up;
    uint64_t life;         // Rises with each start
    int64_t paused_until;  // As if stopped by SIGSTOP
    int64_t started_at;    // Its monotonic clock begins here
    int64_t ended_at;      // Of the life before
    int64_t wall_ms;       // How far its wall clock is from that of the world
    int64_t blocked_until; // Nothing comes to it or leaves it: sim_net
    sim_life_fn *on_start; // Make what the body needs
    sim_life_fn *on_end;   // Free it; what it sends meanwhile is lost
    sim_turn_fn *on_turn;
    void *body;      // Of the functions above
    int64_t turn_at; // INT64_MAX: never
};

// A new world; what is left of the one before is freed.
void sim_world_begin(uint64_t seed);
void sim_world_end(void);

// Microseconds since the world began. The wall clock begins in November 2026.
int64_t sim_now(void);
int64_t sim_wall_ms(void);

// A process of this world, which owns it; it is down.
sim_process_t *sim_process_new(const char *name, sim_turn_fn *on_turn,
                               sim_life_fn *on_start, sim_life_fn *on_end, void *body);
void sim_process_start(sim_process_t *self);
// As by SIGKILL, or after its own end.
void sim_process_kill(sim_process_t *self);
// Let it have its turn after this time, or before.
void sim_process_wake(sim_process_t *self, int64_t delay);
// Whose turn it is; NULL: nobody's.
sim_process_t *sim_process_self(void);

// Have fn called after a time. With an owner it waits while the owner is paused, and is
// void when the owner has died since, or the world ends: then it frees its context alone.
typedef void(sim_event_fn)(void *context, bool is_void);
void sim_after(int64_t delay, sim_process_t *owner, sim_event_fn *fn, void *context);
// Put off the event that is being called; it keeps its place before younger ones.
void sim_put_off(int64_t until);

// Let happen what is next. False when nothing is left before this time, which is then
// now.
bool sim_step(int64_t until);

// Chance.
uint64_t sim_random(void);
int64_t sim_between(int64_t low, int64_t high);
bool sim_chance(unsigned permille);

// Mix into the trace of this world: equal seeds have equal traces.
void sim_note(const char *what, const void *data, size_t size);
uint64_t sim_trace(void);
