// rmt_redis_link - one connection to a Redis or a sentinel, never waited for.
//
// What it is sent is kept until the socket takes it; who holds it polls its item, and
// calls write when it is dirty and read when the item has come. Used by the thread of
// rmt_redis alone.
#pragma once

#include <czmq.h>
#include <hiredis/hiredis.h>
#include "base/rmt_error.h"

#define RMT_REDIS_WHY_SIZE 256

typedef struct {
    redisContext *redis;                  // NULL between two attempts
    bool is_ready;                        // Of its holder alone
    bool is_dirty;                        // Bytes wait to be written
    int greetings;                        // Replies that come before all others
    bool is_brief;                        // Of the greeting, as the next two
    redisReplyObjectFunctions any, brief; // By which hiredis makes replies
} rmt_redis_link_t;

// How the caller shows itself to the server. A NULL or empty text is not told.
typedef struct {
    const char *user, *password;
    uint32_t database;
    bool wants_primary; // A replica is no server for the caller
    bool is_brief; // The server is not trusted, and has no more than a few words to say
} rmt_redis_greeting_t;

// Begin to connect, and append the greeting. address: path of a unix socket, or
// host:port. Until it is closed, self stays where it is. 0, or -1 with the reason: the
// link is to be closed.
int rmt_redis_link_open(rmt_redis_link_t *self, const char *address,
                        const rmt_redis_greeting_t *greeting,
                        char why[RMT_REDIS_WHY_SIZE]);
// Accepts one that is closed.
void rmt_redis_link_close(rmt_redis_link_t *self);

zmq_pollitem_t rmt_redis_link_item(const rmt_redis_link_t *self);

// Write what waits; read what has come. 0, or -1 with the reason.
int rmt_redis_link_write(rmt_redis_link_t *self, char why[RMT_REDIS_WHY_SIZE]);
int rmt_redis_link_read(rmt_redis_link_t *self, char why[RMT_REDIS_WHY_SIZE]);

// The next whole reply of what was read, behind those to the greeting, which are judged
// here. Caller owns *reply_out, NULL when there is none yet (freeReplyObject). 0, or -1
// with the reason: the server does not let the caller in, or speaks another protocol.
int rmt_redis_link_next(rmt_redis_link_t *self, redisReply **reply_out,
                        char why[RMT_REDIS_WHY_SIZE]);

// Why there is no connection, from what the functions above have written, and what to do
// about it: in a farm with sentinels, or without. Caller owns.
char *rmt_redis_link_reason(const char *why, bool is_guided);

// The forms of replies: names and values in turn; what a function of the library gives.
bool rmt_redis_link_is_strings(const redisReply *reply);
bool rmt_redis_link_is_answer(const redisReply *reply);
