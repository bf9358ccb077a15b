#include "state/rmt_sentinel.h"

#include <assert.h>
#include <string.h>
#include "facts/rmt_endpoint.h"

#define ASK_MS 1000    // Between two questions
#define ANSWER_MS 1000 // For an answer

typedef struct {
    const char *address;
    rmt_redis_link_t link;
    bool is_asked;                           // Its answer is awaited
    int64_t due;                             // To ask, or to give up
    char named[RMT_ENDPOINT_HOST_SIZE + 16]; // host:port of the primary; "" when unknown
    char why[RMT_REDIS_WHY_SIZE];            // It names none
} sentinel_t;

struct rmt_sentinel {
    const rmt_state_server_t *server;
    sentinel_t all[RMT_SENTINELS_MAX];
    size_t count;
};

rmt_sentinel_t *
rmt_sentinel_new(const rmt_state_server_t *server)
{
    rmt_sentinel_t *self = zmalloc(sizeof *self);
    self->server = server;
    for (const char *const *at = server->sentinels; *at; at++) {
        assert(self->count < RMT_SENTINELS_MAX);
        sentinel_t *one = &self->all[self->count++];
        one->address = *at;
        snprintf(one->why, sizeof one->why, "it has not answered yet");
    }
    return self;
}

void
rmt_sentinel_destroy(rmt_sentinel_t **self_p)
{
    rmt_sentinel_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        rmt_redis_link_close(&self->all[i].link);
    free(self);
    *self_p = NULL;
}

// why: kept in the sentinel already, or another text.
static void
s_give_up(sentinel_t *one, const char *why, int64_t now)
{
    if (why != one->why)
        snprintf(one->why, sizeof one->why, "%s", why);
    rmt_redis_link_close(&one->link);
    one->named[0] = '\0';
    one->is_asked = false;
    one->due = now + ASK_MS;
}

static void
s_ask(const rmt_sentinel_t *self, sentinel_t *one, int64_t now)
{
    const rmt_redis_greeting_t greeting = {.user = self->server->sentinel_user,
                                           .password = self->server->sentinel_password,
                                           .is_brief = true};
    if (!one->link.redis &&
        rmt_redis_link_open(&one->link, one->address, &greeting, one->why) == -1) {
        s_give_up(one, one->why, now);
        return;
    }
    redisAppendCommand(one->link.redis, "SENTINEL get-master-addr-by-name %s",
                       self->server->primary);
    one->link.is_dirty = true;
    one->is_asked = true;
    one->due = now + ANSWER_MS;
}

void
rmt_sentinel_turn(rmt_sentinel_t *self, int64_t now)
{
    for (size_t i = 0; i < self->count; i++) {
        sentinel_t *one = &self->all[i];
        if (one->is_asked && one->due <= now)
            s_give_up(one, "it does not answer", now);
        else if (one->due <= now)
            s_ask(self, one, now);
        if (one->link.redis && one->link.is_dirty &&
            rmt_redis_link_write(&one->link, one->why) == -1)
            s_give_up(one, one->why, now);
    }
}

int64_t
rmt_sentinel_due(const rmt_sentinel_t *self)
{
    int64_t due = self->all[0].due;
    for (size_t i = 1; i < self->count; i++)
        if (self->all[i].due < due)
            due = self->all[i].due;
    return due;
}

size_t
rmt_sentinel_items(const rmt_sentinel_t *self, zmq_pollitem_t items[RMT_SENTINELS_MAX])
{
    for (size_t i = 0; i < self->count; i++)
        items[i] = rmt_redis_link_item(&self->all[i].link);
    return self->count;
}

// {host, port} as texts; an IPv6 address comes without brackets.
static bool
s_read_named(sentinel_t *one, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING)
        return false;
    const char *host = reply->element[0]->str;
    char named[sizeof one->named], known[RMT_ENDPOINT_HOST_SIZE];
    uint16_t port = 0;
    rmt_error_t error = {0};
    const int size =
        snprintf(named, sizeof named, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host,
                 reply->element[1]->str);
    if (size >= (int) sizeof named ||
        rmt_endpoint_split(named, known, &port, &error) == -1)
        return false;
    memcpy(one->named, named, sizeof named);
    return true;
}

static void
s_take(const rmt_sentinel_t *self, sentinel_t *one, const redisReply *reply, int64_t now)
{
    one->is_asked = false;
    one->due = now + ASK_MS;
    one->named[0] = '\0';
    if (reply->type == REDIS_REPLY_ERROR)
        s_give_up(one, reply->str, now); // Such as NOAUTH
    else if (reply->type == REDIS_REPLY_NIL)
        snprintf(one->why, sizeof one->why, "it knows no primary of the name %.64s",
                 self->server->primary);
    else if (!s_read_named(one, reply))
        snprintf(one->why, sizeof one->why, "its answer is not host and port");
}

static void
s_read(const rmt_sentinel_t *self, sentinel_t *one, int64_t now)
{
    redisReply *reply = NULL;
    if (rmt_redis_link_read(&one->link, one->why) == -1) {
        s_give_up(one, one->why, now);
        return;
    }
    while (one->link.redis) {
        if (rmt_redis_link_next(&one->link, &reply, one->why) == -1)
            s_give_up(one, one->why, now);
        else if (!reply)
            return;
        else if (!one->is_asked)
            s_give_up(one, "it answers what it was not asked", now);
        else
            s_take(self, one, reply, now);
        freeReplyObject(reply);
        reply = NULL;
    }
}

void
rmt_sentinel_handle(rmt_sentinel_t *self, const zmq_pollitem_t *items, int64_t now)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->all[i].link.redis && (items[i].revents & (ZMQ_POLLIN | ZMQ_POLLERR)))
            s_read(self, &self->all[i], now);
}

static size_t
s_votes(const rmt_sentinel_t *self, const char *named)
{
    size_t votes = 0;
    for (size_t i = 0; i < self->count; i++)
        votes += streq(self->all[i].named, named);
    return votes;
}

const char *
rmt_sentinel_primary(const rmt_sentinel_t *self, char why_out[RMT_REDIS_WHY_SIZE])
{
    for (size_t i = 0; i < self->count; i++)
        if (self->all[i].named[0] && 2 * s_votes(self, self->all[i].named) > self->count)
            return self->all[i].named;
    snprintf(why_out, RMT_REDIS_WHY_SIZE, "the sentinels name several primaries");
    for (size_t i = 0; i < self->count; i++)
        if (!self->all[i].named[0])
            snprintf(
                why_out, RMT_REDIS_WHY_SIZE,
                "no primary is named by more than half of the sentinels; %.64s: %.120s",
                self->all[i].address, self->all[i].why);
    return NULL;
}
