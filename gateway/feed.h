// feed - the present value of each topic, and what of it a client has not seen.
//
// A value takes the place of the one before, so a client that reads slowly gets fewer
// values, and costs no memory. Pure; an instance belongs to one thread.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct feed feed_t;

#define FEED_VALUE_SIZE_MAX (16 * 1024)

feed_t *feed_new(void);
void feed_destroy(feed_t **self_p);

// Set a topic's value, JSON in one line of at most FEED_VALUE_SIZE_MAX octets.
void feed_put(feed_t *self, const char *topic, const char *json);
// The topic is no more; clients are told by this JSON.
void feed_end_topic(feed_t *self, const char *topic, const char *json);
// Forget the topics that had ended at the sweep before. A client that has not been told
// of them by then begins anew.
void feed_sweep(feed_t *self);

// What a client has seen; all zero at first.
typedef struct {
    uint64_t seen, sweep;
    int64_t spoken_ms;
} feed_mark_t;

// The next octets for a client, as text/event-stream; max is above FEED_VALUE_SIZE_MAX by
// 1 KiB or more. 0: nothing new. After FEED_PING_MS without a word it is a comment.
#define FEED_PING_MS 15000
size_t feed_read(const feed_t *self, feed_mark_t *mark, int64_t now_ms, char *out,
                 size_t max);
