#include "state/rmt_redis.h"

#include <assert.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "state/rmt_library.h"

#define RETRY_MS 100
#define RETRY_MS_MAX 2000
#define READY_CHANNEL "ramet:ready" // Of ramet_tasks.lua
#define DRAIN_MAX 512               // Calls taken before replies are looked at

typedef struct {
    char *ticket;      // NULL: the loading of the library
    zframe_t *command; // NULL once sent
    int64_t deadline;
} call_t;

typedef struct {
    redisContext *redis; // NULL between two attempts
    bool is_ready;       // The library is loaded; the channel is listened to
    bool is_dirty;       // Bytes wait to be written
} link_t;

struct rmt_redis {
    zsock_t *pipe;
    char *address;
    uint32_t timeout_ms;
    link_t calls, ears; // Both are there, or none
    bool is_terminated;
    zlist_t *sent;    // call_t, in the order of their replies
    zlist_t *waiting; // call_t, for a connection
    int64_t open_by;  // Both must be ready by then
    int64_t retry_at;
    int64_t retry_ms;
    char why[128]; // They went away the last time
};

static void
s_call_destroy(call_t **self_p)
{
    call_t *self = *self_p;
    if (self) {
        free(self->ticket);
        zframe_destroy(&self->command);
        free(self);
        *self_p = NULL;
    }
}

rmt_redis_t *
rmt_redis_new(const char *address, uint32_t timeout_ms)
{
    rmt_redis_t *self = zmalloc(sizeof *self);
    self->address = strdup(address);
    self->timeout_ms = timeout_ms;
    self->sent = zlist_new();
    self->waiting = zlist_new();
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
s_close(link_t *link)
{
    if (link->redis)
        redisFree(link->redis);
    *link = (link_t){0};
}

static void
rmt_redis_destroy(rmt_redis_t **self_p)
{
    rmt_redis_t *self = *self_p;
    if (!self)
        return;
    s_close(&self->calls);
    s_close(&self->ears);
    s_list_destroy(&self->sent);
    s_list_destroy(&self->waiting);
    free(self->address);
    free(self);
    *self_p = NULL;
}

// ---- Commands

typedef struct {
    const char **at;
    size_t *sizes;
    size_t count;
} words_t;

static void
s_add_word(words_t *self, const void *data, size_t size)
{
    self->at[self->count] = data;
    self->sizes[self->count++] = size;
}

static size_t
s_count_words(const rmt_record_t *record)
{
    return record ? 2 * rmt_record_count(record) : 0;
}

static void
s_add_record(words_t *self, const rmt_record_t *record)
{
    for (size_t i = 0; i < s_count_words(record) / 2; i++) {
        const char *name = rmt_record_name_at(record, i);
        size_t size = 0;
        const void *value = rmt_record_value_at(record, i, &size);
        s_add_word(self, name, strlen(name));
        s_add_word(self, value, size);
    }
}

static zframe_t *
s_settings_command(void)
{
    char *text = NULL;
    const int size =
        redisFormatCommand(&text, "CONFIG GET appendonly appendfsync maxmemory-policy");
    assert(size > 0);
    zframe_t *command = zframe_new(text, (size_t) size);
    redisFreeCommand(text);
    return command;
}

zframe_t *
rmt_redis_command(const rmt_call_t *call, int64_t clock_ms)
{
    assert(call && call->function);
    if (streq(call->function, RMT_STATE_SETTINGS))
        return s_settings_command();
    const size_t items = call->items ? rmt_records_count(call->items) : 0;
    char clock[24];
    snprintf(clock, sizeof clock, "%" PRId64, clock_ms);
    size_t count = 4 + items + (clock_ms ? 2 : 0) + s_count_words(call->meta) +
                   s_count_words(call->body);
    for (size_t i = 0; i < items; i++)
        count += s_count_words(rmt_records_at(call->items, i));
    words_t words = {.at = zmalloc(count * sizeof *words.at),
                     .sizes = zmalloc(count * sizeof *words.sizes)};
    s_add_word(&words, "FCALL", 5);
    s_add_word(&words, call->function, strlen(call->function));
    s_add_word(&words, "0", 1); // No keys
    s_add_record(&words, call->meta);
    if (clock_ms) {
        s_add_word(&words, "clock", 5);
        s_add_word(&words, clock, strlen(clock));
    }
    s_add_word(&words, "--", 2);
    s_add_record(&words, call->body);
    for (size_t i = 0; i < items; i++) {
        s_add_word(&words, "--", 2);
        s_add_record(&words, rmt_records_at(call->items, i));
    }
    assert(words.count == count);
    char *text = NULL;
    const long long size =
        redisFormatCommandArgv(&text, (int) count, words.at, words.sizes);
    assert(size > 0);
    zframe_t *command = zframe_new(text, (size_t) size);
    redisFreeCommand(text);
    free(words.at);
    free(words.sizes);
    return command;
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

static void
s_answer(rmt_redis_t *self, const char *ticket, rmt_code_t code, const char *text)
{
    s_send_reply(self, ticket, s_reply(code, text));
}

// What was sent may have been carried out, or may be yet.
static void
s_answer_doubtful(rmt_redis_t *self, const char *ticket, const char *why)
{
    rmt_msg_t *reply = s_reply(RMT_E_UNAVAILABLE, why);
    rmt_record_set(rmt_msg_body(reply), "doubtful", "yes");
    s_send_reply(self, ticket, reply);
}

static bool
s_is_strings(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements % 2)
        return false;
    for (size_t i = 0; i < reply->elements; i++)
        if (reply->element[i]->type != REDIS_REPLY_STRING)
            return false;
    return true;
}

static bool
s_is_answer(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 5 ||
        reply->element[0]->type != REDIS_REPLY_INTEGER ||
        reply->element[1]->type != REDIS_REPLY_STRING ||
        !s_is_strings(reply->element[2]) ||
        reply->element[3]->type != REDIS_REPLY_ARRAY ||
        reply->element[4]->type != REDIS_REPLY_STRING)
        return false;
    for (size_t i = 0; i < reply->element[3]->elements; i++)
        if (!s_is_strings(reply->element[3]->element[i]))
            return false;
    return true;
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

static void
s_forward(rmt_redis_t *self, const char *ticket, const redisReply *answer)
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
    s_send_reply(self, ticket, reply);
}

// The settings of Redis: names and values in turn.
static void
s_forward_settings(rmt_redis_t *self, const char *ticket, const redisReply *answer)
{
    rmt_msg_t *reply = rmt_msg_new(RMT_MSG_REPLY);
    s_take_record(rmt_msg_body(reply), answer);
    s_send_reply(self, ticket, reply);
}

// ---- The connections

static bool
s_is_up(const rmt_redis_t *self)
{
    return self->calls.is_ready && self->ears.is_ready;
}

static void
s_drop(rmt_redis_t *self, const char *why)
{
    if (!self->calls.redis && !self->ears.redis)
        return;
    if (s_is_up(self))
        zstr_send(self->pipe, "down");
    call_t *call;
    while ((call = zlist_pop(self->sent))) {
        if (call->ticket)
            s_answer_doubtful(self, call->ticket, why);
        s_call_destroy(&call);
    }
    snprintf(self->why, sizeof self->why, "%s", why);
    s_close(&self->calls);
    s_close(&self->ears);
    self->retry_at = rmt_clock_ms() + self->retry_ms;
    self->retry_ms =
        self->retry_ms * 2 > RETRY_MS_MAX ? RETRY_MS_MAX : self->retry_ms * 2;
}

static bool
s_open(const rmt_redis_t *self, link_t *link)
{
    const char *colon = strrchr(self->address, ':');
    if (self->address[0] == '/' || !colon) {
        link->redis = redisConnectUnixNonBlock(self->address);
    } else {
        rmt_auto_str host = strndup(self->address, (size_t) (colon - self->address));
        link->redis = redisConnectNonBlock(host, atoi(colon + 1));
    }
    link->is_dirty = true;
    return link->redis && !link->redis->err;
}

static void
s_connect(rmt_redis_t *self)
{
    const bool is_open = s_open(self, &self->ears) && s_open(self, &self->calls);
    if (!is_open) {
        s_drop(self, "the connection to Redis failed");
        return;
    }
    redisAppendCommand(self->ears.redis, "SUBSCRIBE %s", READY_CHANNEL);
    const char *argv[] = {"FUNCTION", "LOAD", "REPLACE", rmt_state_library};
    const size_t sizes[] = {8, 4, 7, rmt_state_library_size};
    redisAppendCommandArgv(self->calls.redis, 4, argv, sizes);
    self->open_by = rmt_clock_ms() + self->timeout_ms;
    call_t *load = zmalloc(sizeof *load);
    load->deadline = self->open_by;
    zlist_append(self->sent, load);
}

// One of the two has become ready.
static void
s_set_ready(rmt_redis_t *self, link_t *link)
{
    link->is_ready = true;
    if (!s_is_up(self))
        return;
    self->retry_ms = RETRY_MS;
    zstr_send(self->pipe, "up");
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

static void
s_send_waiting(rmt_redis_t *self)
{
    call_t *call;
    while (s_is_up(self) && (call = zlist_pop(self->waiting)))
        s_send(self, call);
}

static void
s_take_reply(rmt_redis_t *self, call_t *call, const redisReply *reply)
{
    if (!call->ticket) {
        if (reply->type == REDIS_REPLY_ERROR) {
            s_drop(self, reply->str); // Such as LOADING: it comes again later
            return;
        }
        s_set_ready(self, &self->calls);
    } else if (s_is_answer(reply)) {
        s_forward(self, call->ticket, reply);
    } else if (s_is_strings(reply)) {
        s_forward_settings(self, call->ticket, reply);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        s_answer(self, call->ticket, RMT_E_UNAVAILABLE, reply->str);
        if (strstr(reply->str, "unction not found"))
            s_drop(self,
                   "Redis has lost ramet's function library; the broker loads it again");
    } else {
        s_answer(self, call->ticket, RMT_E_INTERNAL,
                 "Redis gave an answer of an unknown form");
    }
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
s_read(rmt_redis_t *self, link_t *link)
{
    if (redisBufferRead(link->redis) == REDIS_ERR) {
        s_drop(self, "Redis closed the connection");
        return;
    }
    void *reply = NULL;
    while (link->redis && redisGetReplyFromReader(link->redis, &reply) == REDIS_OK &&
           reply) {
        call_t *call = link == &self->calls ? zlist_pop(self->sent) : NULL;
        if (call)
            s_take_reply(self, call, reply);
        else if (link == &self->ears)
            s_take_told(self, reply);
        freeReplyObject(reply);
        s_call_destroy(&call);
        reply = NULL;
    }
    if (link->redis && link->redis->err)
        s_drop(self,
               "the server at the address of Redis does not speak the protocol of Redis");
}

static void
s_write(rmt_redis_t *self, link_t *link)
{
    int done = 0;
    if (redisBufferWrite(link->redis, &done) == REDIS_ERR)
        s_drop(self, "Redis closed the connection");
    else
        link->is_dirty = !done;
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
        if (!ticket || streq(ticket, "$TERM")) {
            self->is_terminated = true;
            return;
        }
        call_t *call = zmalloc(sizeof *call);
        call->ticket = rmt_take(&ticket);
        call->command = zmsg_pop(msg);
        call->deadline = rmt_clock_ms() + self->timeout_ms;
        zlist_append(self->waiting, call);
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
        rmt_auto_str text = rmt_text(
            "Redis cannot be reached: %s; start it, or correct the setting redis",
            self->why);
        s_answer(self, call->ticket, RMT_E_UNAVAILABLE, text);
        s_call_destroy(&call);
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
    return due > now ? (long) (due - now) : 0;
}

static zmq_pollitem_t
s_poll_item(const link_t *link)
{
    return (zmq_pollitem_t){NULL, link->redis ? link->redis->fd : -1,
                            (short) (ZMQ_POLLIN | (link->is_dirty ? ZMQ_POLLOUT : 0)), 0};
}

void
rmt_redis_run(zsock_t *pipe, void *args)
{
    rmt_auto(rmt_redis) self = args; // Taken: ends with this thread
    link_t *const links[] = {&self->calls, &self->ears};
    self->pipe = pipe;
    zsock_signal(pipe, 0);
    while (!self->is_terminated) {
        if (!self->calls.redis && rmt_clock_ms() >= self->retry_at)
            s_connect(self);
        s_send_waiting(self);
        for (int i = 0; i < 2; i++)
            if (links[i]->redis && links[i]->is_dirty)
                s_write(self, links[i]);
        zmq_pollitem_t items[] = {{zsock_resolve(pipe), 0, ZMQ_POLLIN, 0},
                                  s_poll_item(links[0]),
                                  s_poll_item(links[1])};
        const int count = self->calls.redis ? 3 : 1;
        if (zmq_poll(items, count, s_timeout(self, rmt_clock_ms())) == -1 &&
            errno != EINTR)
            return;
        for (int i = 0; i < 2; i++)
            if (links[i]->redis && (items[1 + i].revents & (ZMQ_POLLIN | ZMQ_POLLERR)))
                s_read(self, links[i]);
        s_take_calls(self);
        s_expire(self, rmt_clock_ms());
    }
}
