#include "sim/sim_world.h"

#include <assert.h>
#include <czmq.h>
#include "base/rmt_grow.h"
#include "sim/sim_wraps.h"

#define PROCESSES_MAX 32
#define WALL_START_MS INT64_C(1793000000000)
#define UPTIME_MS 1000000 // Monotonic clocks do not begin at 0

typedef struct {
    int64_t at;
    uint64_t number; // Equal times: the older one first
    sim_process_t *owner;
    uint64_t life;
    sim_event_fn *fn;
    void *context;
} event_t;

static struct {
    int64_t now;
    uint64_t random, trace, number;
    event_t *events; // A heap
    size_t count, room;
    int64_t put_off_until; // Of the event that is being called
    sim_process_t *processes[PROCESSES_MAX];
    size_t process_count;
    sim_process_t *self;
} s_world;

// ---- Chance

uint64_t
sim_random(void)
{
    // SplitMix64.
    uint64_t z = s_world.random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

int64_t
sim_between(int64_t low, int64_t high)
{
    return low + (int64_t) (sim_random() % (uint64_t) (high - low + 1));
}

bool
sim_chance(unsigned permille)
{
    return sim_random() % 1000 < permille;
}

void
__wrap_rmt_random_bytes(void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *) bytes)[i] = (uint8_t) (sim_random() >> 24);
}

void
sim_note(const char *what, const void *data, size_t size)
{
    uint64_t hash = s_world.trace ^ (uint64_t) s_world.now;
    for (const char *c = what; *c; c++)
        hash = (hash ^ (uint8_t) *c) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const uint8_t *) data)[i]) * UINT64_C(0x100000001b3);
    s_world.trace = hash;
}

uint64_t
sim_trace(void)
{
    return s_world.trace;
}

// ---- Time

int64_t
sim_now(void)
{
    return s_world.now;
}

int64_t
sim_wall_ms(void)
{
    return WALL_START_MS + s_world.now / SIM_MS;
}

int64_t
__wrap_rmt_clock_ms(void)
{
    const int64_t began = s_world.self ? s_world.self->started_at : 0;
    return UPTIME_MS + (s_world.now - began) / SIM_MS;
}

int64_t
__wrap_rmt_clock_wall_ms(void)
{
    return sim_wall_ms() + (s_world.self ? s_world.self->wall_ms : 0);
}

// ---- Events

static bool
s_is_before(const event_t *a, const event_t *b)
{
    return a->at < b->at || (a->at == b->at && a->number < b->number);
}

static void
s_swap(size_t a, size_t b)
{
    const event_t kept = s_world.events[a];
    s_world.events[a] = s_world.events[b];
    s_world.events[b] = kept;
}

static void
s_push(const event_t *event)
{
    rmt_grow(&s_world.events, &s_world.room, s_world.count + 1);
    size_t i = s_world.count++;
    s_world.events[i] = *event;
    while (i > 0 && s_is_before(&s_world.events[i], &s_world.events[(i - 1) / 2])) {
        s_swap(i, (i - 1) / 2);
        i = (i - 1) / 2;
    }
}

static event_t
s_pop(void)
{
    const event_t first = s_world.events[0];
    s_world.events[0] = s_world.events[--s_world.count];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++)
            if (child < s_world.count &&
                s_is_before(&s_world.events[child], &s_world.events[least]))
                least = child;
        if (least == i)
            return first;
        s_swap(i, least);
        i = least;
    }
}

void
sim_after(int64_t delay, sim_process_t *owner, sim_event_fn *fn, void *context)
{
    assert(delay >= 0);
    const event_t event = {.at = s_world.now + delay,
                           .number = ++s_world.number,
                           .owner = owner,
                           .life = owner ? owner->life : 0,
                           .fn = fn,
                           .context = context};
    s_push(&event);
}

void
sim_put_off(int64_t until)
{
    assert(until > s_world.now);
    s_world.put_off_until = until;
}

static void
s_call(event_t *event)
{
    sim_process_t *owner = event->owner;
    const bool is_void = owner && (!owner->is_up || owner->life != event->life);
    if (!is_void && owner && owner->paused_until > s_world.now) {
        event->at = owner->paused_until;
        s_push(event);
        return;
    }
    s_world.put_off_until = 0;
    s_world.self = owner;
    event->fn(event->context, is_void);
    s_world.self = NULL;
    if (s_world.put_off_until == 0)
        return;
    event->at = s_world.put_off_until;
    s_push(event);
}

// ---- Processes

sim_process_t *
sim_process_new(const char *name, sim_turn_fn *on_turn, sim_life_fn *on_start,
                sim_life_fn *on_end, void *body)
{
    assert(s_world.process_count < PROCESSES_MAX);
    sim_process_t *self = zmalloc(sizeof *self);
    snprintf(self->name, sizeof self->name, "%s", name);
    self->on_turn = on_turn;
    self->on_start = on_start;
    self->on_end = on_end;
    self->body = body;
    self->turn_at = INT64_MAX;
    s_world.processes[s_world.process_count++] = self;
    return self;
}

// One process may start or end another.
static void
s_as(sim_process_t *self, sim_life_fn *fn)
{
    sim_process_t *before = s_world.self;
    s_world.self = self;
    fn(self);
    s_world.self = before;
}

void
sim_process_start(sim_process_t *self)
{
    assert(!self->is_up);
    sim_note(self->name, "start", 5);
    self->is_up = true;
    self->life++;
    self->paused_until = 0;
    self->started_at = s_world.now;
    self->turn_at = s_world.now;
    s_as(self, self->on_start);
}

void
sim_process_kill(sim_process_t *self)
{
    if (!self->is_up)
        return;
    sim_note(self->name, "end", 3);
    self->is_up = false;
    self->ended_at = s_world.now;
    self->turn_at = INT64_MAX;
    s_as(self, self->on_end);
}

void
sim_process_wake(sim_process_t *self, int64_t delay)
{
    if (self->is_up && s_world.now + delay < self->turn_at)
        self->turn_at = s_world.now + delay;
}

sim_process_t *
sim_process_self(void)
{
    return s_world.self;
}

static void
s_turn(sim_process_t *self)
{
    self->turn_at = INT64_MAX;
    s_world.self = self;
    const long wait_ms = self->on_turn(self);
    s_world.self = NULL;
    if (wait_ms < 0)
        sim_process_kill(self);
    else // A poll wakes a moment after its time
        sim_process_wake(self, (int64_t) wait_ms * SIM_MS + 100);
}

static int64_t
s_turn_time(const sim_process_t *self)
{
    return self->turn_at < self->paused_until ? self->paused_until : self->turn_at;
}

bool
sim_step(int64_t until)
{
    sim_process_t *next = NULL;
    int64_t at = INT64_MAX;
    for (size_t i = 0; i < s_world.process_count; i++) {
        sim_process_t *process = s_world.processes[i];
        if (process->is_up && s_turn_time(process) < at) {
            next = process;
            at = s_turn_time(process);
        }
    }
    const bool is_event = s_world.count > 0 && s_world.events[0].at <= at;
    at = is_event ? s_world.events[0].at : at;
    if (at > until) {
        s_world.now = until;
        return false;
    }
    s_world.now = at > s_world.now ? at : s_world.now;
    if (is_event) {
        event_t event = s_pop();
        s_call(&event);
    } else {
        s_turn(next);
    }
    return true;
}

// ---- Life

void
sim_world_begin(uint64_t seed)
{
    sim_world_end();
    s_world.now = 0;
    s_world.random = seed;
    s_world.trace = UINT64_C(0xcbf29ce484222325);
    s_world.number = 0;
}

void
sim_world_end(void)
{
    for (size_t i = 0; i < s_world.process_count; i++)
        sim_process_kill(s_world.processes[i]);
    while (s_world.count > 0) {
        const event_t event = s_pop();
        event.fn(event.context, true);
    }
    for (size_t i = 0; i < s_world.process_count; i++)
        free(s_world.processes[i]);
    s_world.process_count = 0;
    free(s_world.events);
    s_world.events = NULL;
    s_world.room = 0;
}
