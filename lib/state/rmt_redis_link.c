#include "state/rmt_redis_link.h"

#include <string.h>
#include "base/rmt_io.h"
#include "facts/rmt_endpoint.h"

// Of a server that is not trusted: a sentinel names host and port.
#define BRIEF_WORDS 2
#define BRIEF_BYTES ((size_t) 16 * 1024)

#if HIREDIS_MAJOR >= 1
typedef size_t count_t;
#else
typedef int count_t;
#endif

static int
s_fail(char why[RMT_REDIS_WHY_SIZE], const char *text)
{
    snprintf(why, RMT_REDIS_WHY_SIZE, "%s", text);
    return -1;
}

static int
s_connect(rmt_redis_link_t *self, const char *address, char why[RMT_REDIS_WHY_SIZE])
{
    char host[RMT_ENDPOINT_HOST_SIZE];
    uint16_t port = 0;
    rmt_error_t error = {0};
    if (address[0] == '/') {
        self->redis = redisConnectUnixNonBlock(address);
    } else if (rmt_endpoint_split(address, host, &port, &error) == 0) {
        // Brackets are of the text, not of the address.
        char *name = host + (host[0] == '[');
        name[strcspn(name, "]")] = '\0';
        self->redis = redisConnectNonBlock(name, port);
    } else {
        return s_fail(why, error.text);
    }
    if (!self->redis || self->redis->err)
        return s_fail(why, self->redis ? self->redis->errstr : "no memory");
    self->is_dirty = true;
    return 0;
}

// An array takes its memory when its count has come, and each place of it is looked at
// when it is let go: a few bytes could hold up the caller for minutes.
static void *
s_new_array(const redisReadTask *task, count_t count)
{
    const rmt_redis_link_t *self = task->privdata;
    return task->parent || count > BRIEF_WORDS ? NULL
                                               : self->any.createArray(task, count);
}

static void
s_set_brief(rmt_redis_link_t *self)
{
    redisReader *reader = self->redis->reader;
    self->is_brief = true;
    self->any = self->brief = *reader->fn;
    self->brief.createArray = s_new_array;
    reader->fn = &self->brief;
    reader->privdata = self;
}

static bool
s_is_set(const char *text)
{
    return text && *text;
}

int
rmt_redis_link_open(rmt_redis_link_t *self, const char *address,
                    const rmt_redis_greeting_t *greeting, char why[RMT_REDIS_WHY_SIZE])
{
    if (s_connect(self, address, why) == -1)
        return -1;
    if (greeting->is_brief)
        s_set_brief(self);
    if (s_is_set(greeting->password)) {
        self->greetings++;
        if (s_is_set(greeting->user))
            redisAppendCommand(self->redis, "AUTH %s %s", greeting->user,
                               greeting->password);
        else
            redisAppendCommand(self->redis, "AUTH %s", greeting->password);
    }
    if (greeting->database) {
        self->greetings++;
        redisAppendCommand(self->redis, "SELECT %u", (unsigned) greeting->database);
    }
    if (greeting->wants_primary) {
        self->greetings++;
        redisAppendCommand(self->redis, "ROLE");
    }
    return 0;
}

void
rmt_redis_link_close(rmt_redis_link_t *self)
{
    if (self->redis)
        redisFree(self->redis);
    *self = (rmt_redis_link_t){0};
}

zmq_pollitem_t
rmt_redis_link_item(const rmt_redis_link_t *self)
{
    return (zmq_pollitem_t){NULL, self->redis ? self->redis->fd : -1,
                            (short) (ZMQ_POLLIN | (self->is_dirty ? ZMQ_POLLOUT : 0)), 0};
}

int
rmt_redis_link_write(rmt_redis_link_t *self, char why[RMT_REDIS_WHY_SIZE])
{
    int done = 0;
    if (redisBufferWrite(self->redis, &done) == REDIS_ERR)
        return s_fail(why, "Redis closed the connection");
    self->is_dirty = !done;
    return 0;
}

int
rmt_redis_link_read(rmt_redis_link_t *self, char why[RMT_REDIS_WHY_SIZE])
{
    if (redisBufferRead(self->redis) != REDIS_OK)
        return s_fail(why, "Redis closed the connection");
    const redisReader *reader = self->redis->reader;
    return self->is_brief && reader->len - reader->pos > BRIEF_BYTES
               ? s_fail(why, "the server sends an answer without end")
               : 0;
}

// The answers to AUTH and SELECT are OK, the one to ROLE begins with the role.
static int
s_judge(const redisReply *reply, char why[RMT_REDIS_WHY_SIZE])
{
    if (reply->type == REDIS_REPLY_ERROR)
        return s_fail(why, reply->str);
    if (reply->type == REDIS_REPLY_ARRAY &&
        (reply->elements == 0 || reply->element[0]->type != REDIS_REPLY_STRING ||
         strcmp(reply->element[0]->str, "master") != 0))
        return s_fail(why, "this Redis is a replica, which takes no writes");
    return 0;
}

int
rmt_redis_link_next(rmt_redis_link_t *self, redisReply **reply_out,
                    char why[RMT_REDIS_WHY_SIZE])
{
    for (;;) {
        void *reply = NULL;
        if (redisGetReplyFromReader(self->redis, &reply) == REDIS_ERR)
            return s_fail(why, "the server at the address of Redis does not speak the "
                               "protocol of Redis");
        if (!reply || self->greetings == 0) {
            *reply_out = reply;
            return 0;
        }
        self->greetings--;
        const int rc = s_judge(reply, why);
        freeReplyObject(reply);
        if (rc == -1)
            return -1;
    }
}

// What Redis answers to a wrong password, to none, and to one that it does not ask for.
static bool
s_is_password_refused(const char *why)
{
    static const char *const words[] = {"WRONGPASS",
                                        "NOAUTH",
                                        "ERR AUTH",
                                        "ERR invalid password",
                                        "ERR Protocol error: unauthenticated",
                                        "ERR Client sent AUTH, but no password is set"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncmp(why, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

char *
rmt_redis_link_reason(const char *why, bool is_guided)
{
    if (s_is_password_refused(why))
        return rmt_text("Redis refused the password: %s; correct the settings redis-user "
                        "and redis-password",
                        why);
    return rmt_text("Redis cannot be reached: %s; start it, or correct the setting %s",
                    why, is_guided ? "redis-sentinels" : "redis");
}

bool
rmt_redis_link_is_strings(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements % 2)
        return false;
    for (size_t i = 0; i < reply->elements; i++)
        if (reply->element[i]->type != REDIS_REPLY_STRING)
            return false;
    return true;
}

bool
rmt_redis_link_is_answer(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 5 ||
        reply->element[0]->type != REDIS_REPLY_INTEGER ||
        reply->element[1]->type != REDIS_REPLY_STRING ||
        !rmt_redis_link_is_strings(reply->element[2]) ||
        reply->element[3]->type != REDIS_REPLY_ARRAY ||
        reply->element[4]->type != REDIS_REPLY_STRING)
        return false;
    for (size_t i = 0; i < reply->element[3]->elements; i++)
        if (!rmt_redis_link_is_strings(reply->element[3]->element[i]))
            return false;
    return true;
}
