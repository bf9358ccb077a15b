#include "state/rmt_redis.h"

#include <assert.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "state/rmt_library.h"
#include "state/rmt_redis_link.h"
#include "state/rmt_sentinel.h"

#define RETRY_MS 100
#define RETRY_MS_MAX 2000
#define READY_CHANNEL "ramet:ready" // Of ramet_tasks.lua
#define DRAIN_MAX 512               // Calls taken before replies are looked at

typedef enum {
    KIND_CALL,
    KIND_LOAD, // Of the library
    KIND_WAIT, // Until the replicas have what was answered before it
} kind_t;

typedef struct {
    kind_t kind;
    char *ticket;      // Of a KIND_CALL
    zframe_t *command; // NULL once sent
    int64_t deadline;
    rmt_msg_t *reply; // Held until the replicas have it
} call_t;

struct rmt_redis {
    zsock_t *pipe;
    const rmt_state_server_t *server;
    rmt_sentinel_t *guide;        // NULL: there are no sentinels
    char *address;                // "" until the sentinels have named it
    rmt_redis_link_t calls, ears; // Both are there, or none
    bool is_terminated;
    zlist_t *sent;    // call_t, in the order of their replies
    zlist_t *waiting; // call_t, for a connection, or for the end of a WAIT
    zlist_t *held;    // call_t with replies, until the replicas have what they say
    bool is_waited;   // A WAIT is under way
    uint64_t losses;  // Of a connection that was up
    int64_t open_by;  // Both must be ready by then
    int64_t retry_at, retry_ms;
    char why[RMT_REDIS_WHY_SIZE];  // They went away the last time
    char told[RMT_REDIS_WHY_SIZE]; // What the owner knows of that
};

static void
s_call_destroy(call_t **self_p)
{
    call_t *self = *self_p;
    if (self) {
        free(self->ticket);
        zframe_destroy(&self->command);
        rmt_msg_destroy(&self->reply);
        free(self);
        *self_p = NULL;
    }
}

rmt_redis_t *
rmt_redis_new(const rmt_state_server_t *server)
{
    rmt_redis_t *self = zmalloc(sizeof *self);
    self->server = server;
    if (rmt_state_server_is_guided(server))
        self->guide = rmt_sentinel_new(server);
    self->address = strdup(self->guide ? "" : server->address);
    self->sent = zlist_new();
    self->waiting = zlist_new();
    self->held = zlist_new();
    self->retry_ms = RETRY_MS;
    return self;
}

static void
s_list_destroy(zlist_t **list_p)
{
    call_t *call;
    while ((call = zlist_pop(*list_p)))
        s_call_destroy(&call);
    zlist_destroy(list_p);
}

static void
rmt_redis_destroy(rmt_redis_t **self_p)
{
    rmt_redis_t *self = *self_p;
    if (!self)
        return;
    rmt_redis_link_close(&self->calls);
    rmt_redis_link_close(&self->ears);
    rmt_sentinel_destroy(&self->guide);
    s_list_destroy(&self->sent);
    s_list_destroy(&self->waiting);
    s_list_destroy(&self->held);
    free(self->address);
    free(self);
    *self_p = NULL;
}

// ---- Answers to the owner

static void
s_free_reply(void *data, void *hint)
{
    (void) hint;
    rmt_msg_t *reply = data;
    rmt_msg_destroy(&reply);
}

// Takes the reply.
static void
s_send_reply(rmt_redis_t *self, const char *ticket, rmt_msg_t *reply)
{
    zmq_msg_t frame;
    (void) zmq_msg_init_data(&frame, reply, sizeof *reply, s_free_reply, NULL);
    if (zstr_sendm(self->pipe, ticket) == -1 ||
        zmq_msg_send(&frame, zsock_resolve(self->pipe), 0) == -1)
        (void) zmq_msg_close(&frame);
}

static rmt_msg_t *
s_reply(rmt_code_t code, const char *text)
{
    if (code == RMT_E_UNAVAILABLE)
        return rmt_msg_away(text);
    rmt_msg_t *reply = rmt_msg_new(RMT_MSG_REPLY);
    reply->code = code;
    rmt_msg_text(&reply->text, text);
    return reply;
}

// Nothing is told before as many replicas have it as the settings say. Takes the reply.
static void
s_give(rmt_redis_t *self, call_t *call, rmt_msg_t *reply)
{
    if (!self->is_waited) {
        s_send_reply(self, call->ticket, reply);
        return;
    }
    call_t *held = zmalloc(sizeof *held);
    held->ticket = rmt_take(&call->ticket);
    held->reply = reply;
    zlist_append(self->held, held);
}

// What was sent may have been carried out, or may be yet.
static void
s_answer_doubtful(rmt_redis_t *self, const char *ticket, const char *why)
{
    rmt_msg_t *reply = s_reply(RMT_E_UNAVAILABLE, why);
    rmt_record_set(rmt_msg_body(reply), "doubtful", "yes");
    s_send_reply(self, ticket, reply);
}

// A field whose name a record cannot have is the function library's own: left out.
static void
s_take_record(rmt_record_t *record, const redisReply *list)
{
    for (size_t i = 0; i < list->elements; i += 2)
        (void) rmt_record_add(record, list->element[i]->str, list->element[i + 1]->str,
                              (size_t) list->element[i + 1]->len);
}

static rmt_record_t *
s_make_record(const redisReply *list)
{
    size_t bytes = 0;
    for (size_t i = 0; i < list->elements; i++)
        bytes += (size_t) list->element[i]->len;
    rmt_record_t *record = rmt_record_new_sized(list->elements / 2, bytes);
    s_take_record(record, list);
    return record;
}

static rmt_msg_t *
s_read_answer(const redisReply *answer)
{
    rmt_msg_t *reply = rmt_msg_new(RMT_MSG_REPLY);
    reply->code = (uint32_t) answer->element[0]->integer;
    rmt_msg_text(&reply->text, answer->element[1]->str);
    rmt_msg_text(&reply->cursor, answer->element[4]->str);
    s_take_record(rmt_msg_body(reply), answer->element[2]);
    rmt_records_t *items = rmt_msg_items(reply);
    for (size_t i = 0; i < answer->element[3]->elements; i++) {
        rmt_record_t *record = s_make_record(answer->element[3]->element[i]);
        (void) rmt_records_append(items, &record);
    }
    return reply;
}

// The settings of Redis: names and values in turn.
static rmt_msg_t *
s_read_settings(const redisReply *answer)
{
    rmt_msg_t *reply = rmt_msg_new(RMT_MSG_REPLY);
    s_take_record(rmt_msg_body(reply), answer);
    return reply;
}

// ---- The connections

static bool
s_is_up(const rmt_redis_t *self)
{
    return self->calls.is_ready && self->ears.is_ready;
}

static void
s_doubt(rmt_redis_t *self, zlist_t *calls, const char *why)
{
    call_t *call;
    while ((call = zlist_pop(calls))) {
        if (call->kind == KIND_CALL)
            s_answer_doubtful(self, call->ticket, why);
        s_call_destroy(&call);
    }
}

static void
s_refuse(rmt_redis_t *self, call_t *call, const char *why)
{
    s_send_reply(self, call->ticket, s_reply(RMT_E_UNAVAILABLE, why));
    s_call_destroy(&call);
}

// Both connections end, and are made anew later. What waits is refused, for the next
// Redis may have lost what it rests on, and is to be opened before all else.
static void
s_drop(rmt_redis_t *self, const char *why)
{
    call_t *call;
    if (!self->calls.redis && !self->ears.redis)
        return;
    if (s_is_up(self)) {
        self->losses++;
        zstr_sendx(self->pipe, "down", self->address, NULL);
        while ((call = zlist_pop(self->waiting)))
            s_refuse(self, call, why);
    }
    s_doubt(self, self->held, why);
    s_doubt(self, self->sent, why);
    self->is_waited = false;
    if (why != self->why)
        snprintf(self->why, sizeof self->why, "%s", why);
    rmt_redis_link_close(&self->calls);
    rmt_redis_link_close(&self->ears);
    self->retry_at = rmt_clock_ms() + self->retry_ms;
    self->retry_ms =
        self->retry_ms * 2 > RETRY_MS_MAX ? RETRY_MS_MAX : self->retry_ms * 2;
}

static bool
s_open(rmt_redis_t *self)
{
    const rmt_redis_greeting_t greeting = {.user = self->server->user,
                                           .password = self->server->password,
                                           .database = self->server->database,
                                           .wants_primary = self->guide != NULL};
    return rmt_redis_link_open(&self->ears, self->address, &greeting, self->why) == 0 &&
           rmt_redis_link_open(&self->calls, self->address, &greeting, self->why) == 0;
}

static void
s_connect(rmt_redis_t *self)
{
    if (!s_open(self)) {
        s_drop(self, self->why);
        return;
    }
    redisAppendCommand(self->ears.redis, "SUBSCRIBE %s", READY_CHANNEL);
    const char *argv[] = {"FUNCTION", "LOAD", "REPLACE", rmt_state_library};
    const size_t sizes[] = {8, 4, 7, rmt_state_library_size};
    redisAppendCommandArgv(self->calls.redis, 4, argv, sizes);
    self->open_by = rmt_clock_ms() + self->server->timeout_ms;
    call_t *load = zmalloc(sizeof *load);
    load->kind = KIND_LOAD;
    load->deadline = self->open_by;
    zlist_append(self->sent, load);
}

// With sentinels the primary is where more than half of them say; while they do not
// agree, a connection that stands is kept, and none is made.
static void
s_follow(rmt_redis_t *self, int64_t now)
{
    char why[RMT_REDIS_WHY_SIZE];
    rmt_sentinel_turn(self->guide, now);
    const char *primary = rmt_sentinel_primary(self->guide, why);
    if (!primary) {
        if (!self->calls.redis)
            snprintf(self->why, sizeof self->why, "%s", why);
        if (!self->calls.redis && self->retry_at <= now)
            self->retry_at = now + RETRY_MS;
    } else if (!streq(primary, self->address)) {
        s_drop(self, "the sentinels name another primary of Redis");
        free(self->address);
        self->address = strdup(primary);
        self->retry_at = now;
        self->retry_ms = RETRY_MS;
    }
}

// One of the two has become ready.
static void
s_set_ready(rmt_redis_t *self, rmt_redis_link_t *link)
{
    link->is_ready = true;
    if (!s_is_up(self))
        return;
    self->retry_ms = RETRY_MS;
    zstr_sendx(self->pipe, "up", self->address, NULL);
}

static void
s_send(rmt_redis_t *self, call_t *call)
{
    redisAppendFormattedCommand(self->calls.redis,
                                (const char *) zframe_data(call->command),
                                zframe_size(call->command));
    zframe_destroy(&call->command);
    zlist_append(self->sent, call);
    self->calls.is_dirty = true;
}

// Behind what was sent. Its time is short, so that calls behind it are answered in
// theirs.
static void
s_send_wait(rmt_redis_t *self)
{
    redisAppendCommand(self->calls.redis, "WAIT %u %u", (unsigned) self->server->replicas,
                       (unsigned) (self->server->timeout_ms / 4));
    call_t *wait = zmalloc(sizeof *wait);
    wait->kind = KIND_WAIT;
    wait->deadline = rmt_clock_ms() + self->server->timeout_ms;
    zlist_append(self->sent, wait);
    self->is_waited = true;
}

// While a WAIT is under way, what comes is gathered for the next one.
static void
s_send_waiting(rmt_redis_t *self)
{
    call_t *call;
    if (!s_is_up(self) || self->is_waited || zlist_size(self->waiting) == 0)
        return;
    while ((call = zlist_pop(self->waiting)))
        s_send(self, call);
    if (self->guide && self->server->replicas > 0)
        s_send_wait(self);
}

// How many replicas have what was answered before.
static void
s_take_wait(rmt_redis_t *self, const redisReply *reply)
{
    call_t *call;
    self->is_waited = false;
    if (reply->type != REDIS_REPLY_INTEGER) { // Such as UNBLOCKED, by a new replica
        s_drop(self,
               reply->type == REDIS_REPLY_ERROR ? reply->str : "WAIT has no answer");
    } else if (reply->integer < self->server->replicas) {
        rmt_auto_str text =
            rmt_text("%lld replicas of Redis have it, and redis-replicas demands %u: "
                     "start them; what was asked is done, unless the primary is lost "
                     "before they have it",
                     reply->integer, (unsigned) self->server->replicas);
        s_doubt(self, self->held, text);
    } else {
        while ((call = zlist_pop(self->held))) {
            s_send_reply(self, call->ticket, rmt_take(&call->reply));
            s_call_destroy(&call);
        }
    }
}

static void
s_take_load(rmt_redis_t *self, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR)
        s_drop(self, reply->str); // Such as LOADING: it comes again later
    else
        s_set_ready(self, &self->calls);
}

static void
s_take_error(rmt_redis_t *self, call_t *call, const char *text)
{
    s_give(self, call, s_reply(RMT_E_UNAVAILABLE, text));
    if (strstr(text, "unction not found"))
        s_drop(self,
               "Redis has lost ramet's function library; the broker loads it again");
    else if (strncmp(text, "READONLY", 8) == 0)
        s_drop(self, "this Redis has become a replica, which takes no writes");
}

static void
s_take_reply(rmt_redis_t *self, call_t *call, const redisReply *reply)
{
    if (call->kind == KIND_LOAD)
        s_take_load(self, reply);
    else if (call->kind == KIND_WAIT)
        s_take_wait(self, reply);
    else if (rmt_redis_link_is_answer(reply))
        s_give(self, call, s_read_answer(reply));
    else if (rmt_redis_link_is_strings(reply))
        s_give(self, call, s_read_settings(reply));
    else if (reply->type == REDIS_REPLY_ERROR)
        s_take_error(self, call, reply->str);
    else
        s_give(self, call,
               s_reply(RMT_E_INTERNAL, "Redis gave an answer of an unknown form"));
}

// What the channel says: that it is listened to, or {"message", channel, service}.
static void
s_take_told(rmt_redis_t *self, const redisReply *told)
{
    if (told->type != REDIS_REPLY_ARRAY || told->elements != 3) {
        s_drop(self, told->type == REDIS_REPLY_ERROR
                         ? told->str
                         : "Redis sent a message that is not a notification");
        return;
    }
    if (told->element[2]->type == REDIS_REPLY_STRING)
        zstr_sendx(self->pipe, "ready", told->element[2]->str, NULL);
    else if (!self->ears.is_ready)
        s_set_ready(self, &self->ears);
}

static void
s_read(rmt_redis_t *self, rmt_redis_link_t *link)
{
    redisReply *reply = NULL;
    if (rmt_redis_link_read(link, self->why) == -1) {
        s_drop(self, self->why);
        return;
    }
    while (link->redis) {
        if (rmt_redis_link_next(link, &reply, self->why) == -1) {
            s_drop(self, self->why);
            return;
        }
        if (!reply)
            return;
        call_t *call = link == &self->calls ? zlist_pop(self->sent) : NULL;
        if (call)
            s_take_reply(self, call, reply);
        else if (link == &self->ears)
            s_take_told(self, reply);
        freeReplyObject(reply);
        s_call_destroy(&call);
    }
}

static void
s_write(rmt_redis_t *self, rmt_redis_link_t *link)
{
    if (rmt_redis_link_write(link, self->why) == -1)
        s_drop(self, self->why);
}

// ---- The loop

static void
s_take_calls(rmt_redis_t *self)
{
    for (int i = 0; i < DRAIN_MAX && !self->is_terminated; i++) {
        if (!(zsock_events(self->pipe) & ZMQ_POLLIN))
            return;
        rmt_auto(zmsg) msg = zmsg_recv(self->pipe);
        rmt_auto_str ticket = msg ? zmsg_popstr(msg) : NULL;
        rmt_auto_str losses = msg ? zmsg_popstr(msg) : NULL;
        if (!losses) { // "$TERM", or nothing
            self->is_terminated = true;
            return;
        }
        call_t *call = zmalloc(sizeof *call);
        call->ticket = rmt_take(&ticket);
        call->command = zmsg_pop(msg);
        call->deadline = rmt_clock_ms() + self->server->timeout_ms;
        if (strtoull(losses, NULL, 10) == self->losses)
            zlist_append(self->waiting, call);
        else
            s_refuse(self, call, "Redis went away before this was asked of it");
    }
}

// The owner hears of each cause once.
static void
s_tell_reason(rmt_redis_t *self)
{
    if (s_is_up(self)) {
        self->told[0] = '\0';
    } else if (*self->why && !streq(self->why, self->told)) {
        rmt_auto_str text = rmt_redis_link_reason(self->why, self->guide != NULL);
        snprintf(self->told, sizeof self->told, "%s", self->why);
        zstr_sendx(self->pipe, "away", text, NULL);
    }
}

// A reply that does not come makes the whole connection useless, for replies are told
// apart by their order alone.
static void
s_expire(rmt_redis_t *self, int64_t now)
{
    call_t *call = zlist_first(self->sent);
    if ((call && call->deadline <= now) ||
        (self->calls.redis && !s_is_up(self) && self->open_by <= now))
        s_drop(self, "Redis did not answer in time");
    while ((call = zlist_first(self->waiting)) && call->deadline <= now) {
        call = zlist_pop(self->waiting);
        rmt_auto_str text = rmt_redis_link_reason(self->why, self->guide != NULL);
        s_refuse(self, call, text);
    }
}

static long
s_timeout(const rmt_redis_t *self, int64_t now)
{
    int64_t due = now + 1000;
    const call_t *sent = zlist_first(self->sent);
    const call_t *waiting = zlist_first(self->waiting);
    if (sent && sent->deadline < due)
        due = sent->deadline;
    if (waiting && waiting->deadline < due)
        due = waiting->deadline;
    if (!self->calls.redis && self->retry_at < due)
        due = self->retry_at;
    if (self->calls.redis && !s_is_up(self) && self->open_by < due)
        due = self->open_by;
    if (self->guide && rmt_sentinel_due(self->guide) < due)
        due = rmt_sentinel_due(self->guide);
    return due > now ? (long) (due - now) : 0;
}

// Connect where it is due, and send what waits.
static void
s_turn(rmt_redis_t *self, int64_t now)
{
    if (self->guide)
        s_follow(self, now);
    if (!self->calls.redis && now >= self->retry_at)
        s_connect(self);
    s_send_waiting(self);
    if (self->calls.redis && self->calls.is_dirty)
        s_write(self, &self->calls);
    if (self->ears.redis && self->ears.is_dirty)
        s_write(self, &self->ears);
}

static void
s_handle(rmt_redis_t *self, rmt_redis_link_t *link, const zmq_pollitem_t *item)
{
    if (link->redis && (item->revents & (ZMQ_POLLIN | ZMQ_POLLERR)))
        s_read(self, link);
}

void
rmt_redis_run(zsock_t *pipe, void *args)
{
    rmt_auto(rmt_redis) self = args; // Taken: ends with this thread
    self->pipe = pipe;
    zsock_signal(pipe, 0);
    while (!self->is_terminated) {
        s_turn(self, rmt_clock_ms());
        zmq_pollitem_t items[3 + RMT_SENTINELS_MAX] = {
            {zsock_resolve(pipe), 0, ZMQ_POLLIN, 0},
            rmt_redis_link_item(&self->calls),
            rmt_redis_link_item(&self->ears)};
        int count = 3;
        if (self->guide)
            count += (int) rmt_sentinel_items(self->guide, items + 3);
        if (zmq_poll(items, count, s_timeout(self, rmt_clock_ms())) == -1 &&
            errno != EINTR)
            return;
        s_handle(self, &self->calls, &items[1]);
        s_handle(self, &self->ears, &items[2]);
        if (self->guide)
            rmt_sentinel_handle(self->guide, items + 3, rmt_clock_ms());
        s_take_calls(self);
        s_expire(self, rmt_clock_ms());
        s_tell_reason(self);
    }
}
