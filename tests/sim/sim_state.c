#include "sim/sim_state.h"

#include <assert.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "state/rmt_farm_clock.h"

#define RETRY_MIN (100 * SIM_MS)
#define RETRY_MAX (2000 * SIM_MS)

// A call from the moment that it was made to that of its answer. What is under way keeps
// it too, for it may arrive when its sender has given it up or has died.
typedef struct {
    int owners;
    char *function;
    rmt_record_t *meta, *body;
    rmt_records_t *items;
    rmt_state_fn *fn;
    void *context;
    rmt_msg_t *reply; // Once it has one
    bool is_sent;
} call_t;

// What rmt_state_handle tells: an answer, or news of the connection or of a service.
typedef struct {
    call_t *call;
    bool is_up;
    char *service;
} news_t;

struct rmt_state {
    sim_process_t *owner;
    rmt_state_listener_t listener;
    int64_t timeout;
    bool is_up, is_ending;
    uint64_t link;   // Number of the connection; another one when it ends
    zlist_t *calls;  // Without an answer, in their order
    zlist_t *news;   // news_t
    int64_t last[2]; // When the last word to and from Redis arrives
    rmt_farm_clock_t clock;
};

static struct {
    sim_redis_t *redis;
    bool is_up;
    int64_t paused_until, delay_max, shift_ms;
    uint64_t links, life; // Numbers of connections; rises with each start
    zlist_t *states;
    sim_call_fn *on_call;
} s_redis;

static void s_connect_later(rmt_state_t *self, int64_t delay);

// ---- News

static void
s_tell(rmt_state_t *self, call_t *call, bool is_up, const char *service)
{
    news_t *news = zmalloc(sizeof *news);
    *news = (news_t){call, is_up, service ? strdup(service) : NULL};
    zlist_append(self->news, news);
    sim_process_wake(self->owner, 0);
}

static void
s_call_destroy(call_t **self_p)
{
    call_t *self = rmt_take(self_p);
    if (--self->owners > 0)
        return;
    free(self->function);
    rmt_record_destroy(&self->meta);
    rmt_record_destroy(&self->body);
    rmt_records_destroy(&self->items);
    rmt_msg_destroy(&self->reply);
    free(self);
}

static void
s_answer(rmt_state_t *self, call_t *call, rmt_code_t code, const char *text)
{
    rmt_msg_destroy(&call->reply);
    call->reply =
        code == RMT_E_UNAVAILABLE ? rmt_msg_away(text) : rmt_msg_new(RMT_MSG_REPLY);
    call->reply->code = code;
    rmt_msg_text(&call->reply->text, text);
    zlist_remove(self->calls, call);
    s_tell(self, call, false, NULL);
}

// ---- The connection

static void
s_disconnect(rmt_state_t *self)
{
    if (!self->is_up)
        return;
    self->is_up = false;
    self->link = ++s_redis.links;
    s_tell(self, NULL, false, NULL);
    rmt_auto(zlist) sent = zlist_dup(self->calls);
    for (call_t *call = zlist_first(sent); call; call = zlist_next(sent))
        if (call->is_sent) {
            s_answer(self, call, RMT_E_UNAVAILABLE, "Redis closed the connection");
            rmt_record_set(rmt_msg_body(call->reply), "doubtful", "yes");
        }
    s_connect_later(self, sim_between(RETRY_MIN, RETRY_MAX));
}

// A word to Redis or from it over one connection.
typedef struct {
    rmt_state_t *state; // Which may be gone
    uint64_t link, life;
    call_t *call; // NULL: to connect
} word_t;

static word_t *
s_word(rmt_state_t *self, call_t *call)
{
    word_t *word = zmalloc(sizeof *word);
    *word = (word_t){self, self->link, s_redis.life, call};
    if (call)
        call->owners++;
    return word;
}

static void
s_word_destroy(word_t **self_p)
{
    word_t *self = rmt_take(self_p);
    if (self->call)
        s_call_destroy(&self->call);
    free(self);
}

// The connection of the word is still there.
static bool
s_is_linked(const word_t *word)
{
    return zlist_exists(s_redis.states, word->state) && word->link == word->state->link;
}

static int64_t
s_travel(rmt_state_t *self, bool is_back)
{
    int64_t *last = &self->last[is_back];
    const int64_t at = sim_now() + sim_between(50, s_redis.delay_max);
    *last = at > *last ? at : *last;
    return *last - sim_now();
}

static void
s_on_answer(void *context, bool is_void)
{
    word_t *word = context;
    if (!is_void && s_is_linked(word)) {
        zlist_remove(word->state->calls, word->call);
        s_tell(word->state, word->call, false, NULL);
    }
    s_word_destroy(&word);
}

static rmt_msg_t *
s_run(const rmt_call_t *call)
{
    if (s_redis.on_call)
        s_redis.on_call(call, NULL);
    rmt_msg_t *reply =
        sim_redis_call(s_redis.redis, sim_wall_ms() + s_redis.shift_ms, call);
    sim_note(call->function, &reply->code, sizeof reply->code);
    for (const char *ready = sim_redis_take_ready(s_redis.redis); *ready;
         ready += strlen(ready) + 1)
        for (rmt_state_t *state = zlist_first(s_redis.states); state;
             state = zlist_next(s_redis.states))
            if (state->is_up)
                s_tell(state, NULL, false, ready);
    if (s_redis.on_call)
        s_redis.on_call(call, reply);
    return reply;
}

// What was sent before the connection ended may be carried out all the same.
static void
s_on_arrival(void *context, bool is_void)
{
    word_t *word = context;
    if (!is_void && s_redis.paused_until > sim_now()) {
        sim_put_off(s_redis.paused_until);
        return;
    }
    const bool is_linked = !is_void && s_is_linked(word);
    if (is_void || !s_redis.is_up || word->life != s_redis.life ||
        (!is_linked && sim_chance(500))) {
        s_word_destroy(&word);
        return;
    }
    const call_t *call = word->call;
    const rmt_call_t now = {call->function, call->meta, call->body, call->items};
    rmt_msg_t *reply = s_run(&now);
    if (is_linked) {
        word->call->reply = reply;
        sim_after(s_travel(word->state, true), NULL, s_on_answer, word);
        return;
    }
    rmt_msg_destroy(&reply);
    s_word_destroy(&word);
}

static void
s_on_timeout(void *context, bool is_void)
{
    word_t *word = context;
    if (!is_void && zlist_exists(word->state->calls, word->call)) {
        if (word->call->is_sent)
            s_disconnect(word->state);
        else
            s_answer(word->state, word->call, RMT_E_UNAVAILABLE,
                     "Redis cannot be reached");
    }
    s_word_destroy(&word);
}

static void
s_send(rmt_state_t *self, call_t *call)
{
    call->is_sent = true;
    sim_after(s_travel(self, false), NULL, s_on_arrival, s_word(self, call));
}

static void
s_on_connect(void *context, bool is_void)
{
    word_t *word = context;
    rmt_state_t *self = word->state;
    const bool is_wanted = !is_void && !self->is_up && word->link == self->link;
    s_word_destroy(&word);
    if (!is_wanted)
        return;
    if (!s_redis.is_up || s_redis.paused_until > sim_now()) {
        s_connect_later(self, sim_between(RETRY_MIN, RETRY_MAX));
        return;
    }
    self->is_up = true;
    self->link = ++s_redis.links;
    self->last[0] = self->last[1] = 0;
    s_tell(self, NULL, true, NULL);
    for (call_t *call = zlist_first(self->calls); call; call = zlist_next(self->calls))
        s_send(self, call);
}

static void
s_connect_later(rmt_state_t *self, int64_t delay)
{
    sim_after(delay, self->owner, s_on_connect, s_word(self, NULL));
}

// ---- rmt_state.h

rmt_state_t *
rmt_state_new(const rmt_state_server_t *server, const rmt_state_listener_t *listener,
              rmt_error_t *error)
{
    (void) error;
    rmt_state_t *self = zmalloc(sizeof *self);
    self->owner = sim_process_self();
    self->listener = *listener;
    self->timeout = (int64_t) server->timeout_ms * SIM_MS;
    self->calls = zlist_new();
    self->news = zlist_new();
    zlist_append(s_redis.states, self);
    s_connect_later(self, sim_between(1000, 10000));
    return self;
}

static void
s_hand_over(rmt_state_t *self, news_t *news)
{
    if (news->call) {
        if (news->call->fn)
            news->call->fn(news->call->context, news->call->reply);
        s_call_destroy(&news->call);
    } else if (news->service) {
        self->listener.on_ready(self->listener.context, news->service);
    } else {
        self->listener.on_link(self->listener.context, news->is_up, "");
    }
    free(news->service);
    free(news);
}

void
rmt_state_handle(rmt_state_t *self)
{
    news_t *news;
    while ((news = zlist_pop(self->news)))
        s_hand_over(self, news);
}

void
rmt_state_destroy(rmt_state_t **self_p)
{
    rmt_state_t *self = *self_p;
    if (!self)
        return;
    self->is_ending = true;
    self->link = ++s_redis.links;
    zlist_remove(s_redis.states, self);
    news_t *news;
    call_t *call;
    // What was told and not taken is lost with the process; its calls end as the others.
    while ((news = zlist_pop(self->news))) {
        if (news->call)
            zlist_append(self->calls, news->call);
        free(news->service);
        free(news);
    }
    while ((call = zlist_first(self->calls))) {
        s_answer(self, call, RMT_E_CANCELLED, "the program is ending");
        s_hand_over(self, zlist_pop(self->news));
    }
    zlist_destroy(&self->calls);
    zlist_destroy(&self->news);
    free(self);
    *self_p = NULL;
}

zsock_t *
rmt_state_socket(rmt_state_t *self)
{
    (void) self;
    return NULL;
}

void
rmt_state_hear_clock(rmt_state_t *self, uint64_t clock_ms)
{
    rmt_farm_clock_hear(&self->clock, clock_ms);
}

// The farm's clock goes with each call.
static rmt_record_t *
s_meta(const rmt_state_t *self, const rmt_record_t *meta)
{
    rmt_record_t *copy = meta ? rmt_record_dup(meta) : rmt_record_new();
    const int64_t clock_ms = rmt_farm_clock_ms(&self->clock);
    if (clock_ms)
        rmt_record_set_u64(copy, "clock", (uint64_t) clock_ms);
    return copy;
}

void
rmt_state_call(rmt_state_t *self, const rmt_call_t *call, rmt_state_fn *fn, void *context)
{
    call_t *copy = zmalloc(sizeof *copy);
    copy->owners = 1;
    copy->function = strdup(call->function);
    copy->meta = s_meta(self, call->meta);
    copy->body = call->body ? rmt_record_dup(call->body) : NULL;
    copy->items = call->items ? rmt_records_dup(call->items) : NULL;
    copy->fn = fn;
    copy->context = context;
    zlist_append(self->calls, copy);
    if (self->is_ending)
        return;
    sim_after(self->timeout, self->owner, s_on_timeout, s_word(self, copy));
    if (self->is_up)
        s_send(self, copy);
}

// ---- Faults

static void
s_on_start(void *context, bool is_void)
{
    (void) context;
    if (!is_void)
        s_redis.is_up = true;
}

void
sim_state_crash(int64_t time, int slot)
{
    s_redis.is_up = false;
    s_redis.life++;
    s_redis.paused_until = 0;
    if (slot >= 0)
        sim_redis_restore(s_redis.redis, slot);
    sim_redis_start(s_redis.redis);
    for (rmt_state_t *state = zlist_first(s_redis.states); state;
         state = zlist_next(s_redis.states))
        s_disconnect(state);
    sim_after(time, NULL, s_on_start, NULL);
}

void
sim_state_pause(int64_t time)
{
    s_redis.paused_until = sim_now() + time;
}

void
sim_state_shift(int64_t ms)
{
    s_redis.shift_ms += ms;
}

void
sim_state_cut(const sim_process_t *process)
{
    for (rmt_state_t *state = zlist_first(s_redis.states); state;
         state = zlist_next(s_redis.states))
        if (state->owner == process)
            s_disconnect(state);
}

// ---- Life

void
sim_state_begin(sim_redis_t *redis)
{
    s_redis.redis = redis;
    s_redis.is_up = true;
    s_redis.paused_until = s_redis.shift_ms = 0;
    s_redis.states = zlist_new();
}

void
sim_state_end(void)
{
    assert(zlist_size(s_redis.states) == 0);
    zlist_destroy(&s_redis.states);
}

void
sim_state_set_delay(int64_t delay_max)
{
    s_redis.delay_max = delay_max;
}

void
sim_state_on_call(sim_call_fn *fn)
{
    s_redis.on_call = fn;
}

rmt_msg_t *
sim_state_ask(const rmt_call_t *call)
{
    return sim_redis_call(s_redis.redis, sim_wall_ms() + s_redis.shift_ms, call);
}
