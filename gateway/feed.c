#include "gateway/feed.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <czmq.h>
#include <string.h>

// Topics in the sequence of their values: the youngest is the last.
typedef struct item {
    struct item *older, *younger;
    uint64_t serial;
    char *frame;
    uint64_t ended; // The sweep at which the topic had ended; 0: it goes on
    char topic[];
} item_t;

struct feed {
    zhashx_t *items;
    item_t *oldest, *youngest;
    uint64_t serial, sweep;
};

feed_t *
feed_new(void)
{
    feed_t *self = zmalloc(sizeof *self);
    self->items = zhashx_new();
    self->serial = 1; // 0: a client that has seen nothing
    self->sweep = 1;
    return self;
}

void
feed_destroy(feed_t **self_p)
{
    assert(self_p);
    feed_t *self = rmt_take(self_p);
    if (!self)
        return;
    while (self->oldest) {
        item_t *item = self->oldest;
        self->oldest = item->younger;
        free(item->frame);
        free(item);
    }
    zhashx_destroy(&self->items);
    free(self);
}

static void
s_unlink(feed_t *self, item_t *item)
{
    *(item->older ? &item->older->younger : &self->oldest) = item->younger;
    *(item->younger ? &item->younger->older : &self->youngest) = item->older;
    item->older = item->younger = NULL;
}

static void
s_append(feed_t *self, item_t *item)
{
    item->older = self->youngest;
    *(self->youngest ? &self->youngest->younger : &self->oldest) = item;
    self->youngest = item;
    item->serial = ++self->serial;
}

static item_t *
s_require(feed_t *self, const char *topic)
{
    item_t *item = zhashx_lookup(self->items, topic);
    if (item) {
        s_unlink(self, item);
        return item;
    }
    item = zmalloc(sizeof *item + strlen(topic) + 1);
    memcpy(item->topic, topic, strlen(topic));
    zhashx_insert(self->items, item->topic, item);
    return item;
}

static void
s_set(feed_t *self, const char *topic, const char *event, const char *json)
{
    item_t *item = s_require(self, topic);
    free(item->frame);
    item->frame = rmt_text("event: %s\ndata: %s\n\n", event, json);
    item->ended = 0;
    s_append(self, item);
}

void
feed_put(feed_t *self, const char *topic, const char *json)
{
    assert(self && topic && json && strlen(json) <= FEED_VALUE_SIZE_MAX);
    s_set(self, topic, "value", json);
}

void
feed_end_topic(feed_t *self, const char *topic, const char *json)
{
    assert(self && topic && json && strlen(json) <= FEED_VALUE_SIZE_MAX);
    s_set(self, topic, "end", json);
    self->youngest->ended = self->sweep;
}

void
feed_sweep(feed_t *self)
{
    item_t *next;
    for (item_t *item = self->oldest; item; item = next) {
        next = item->younger;
        if (!item->ended || item->ended == self->sweep)
            continue;
        s_unlink(self, item);
        zhashx_delete(self->items, item->topic);
        free(item->frame);
        free(item);
    }
    self->sweep++;
}

// The oldest item that is younger than what the client has seen.
static const item_t *
s_first_new(const feed_t *self, uint64_t seen)
{
    const item_t *item = self->youngest;
    if (!item || item->serial <= seen)
        return NULL;
    if (seen <= 1)
        return self->oldest;
    while (item->older && item->older->serial > seen)
        item = item->older;
    return item;
}

static size_t
s_say(char *out, const char *text)
{
    const size_t size = strlen(text);
    memcpy(out, text, size);
    return size;
}

size_t
feed_read(const feed_t *self, feed_mark_t *mark, int64_t now_ms, char *out, size_t max)
{
    assert(self && mark && out && max >= FEED_VALUE_SIZE_MAX + 1024);
    size_t used = 0;
    // Of what was forgotten since, the client may have an old value.
    if (mark->seen == 0 || mark->sweep + 1 < self->sweep) {
        used += s_say(out, "retry: 2000\nevent: begin\ndata: {}\n\n");
        mark->seen = 1;
        mark->sweep = self->sweep;
    }
    const item_t *item = s_first_new(self, mark->seen);
    for (; item && strlen(item->frame) <= max - used; item = item->younger) {
        used += s_say(out + used, item->frame);
        mark->seen = item->serial;
    }
    if (!item)
        mark->sweep = self->sweep;
    if (!used && now_ms - mark->spoken_ms >= FEED_PING_MS)
        used = s_say(out, ": ping\n\n");
    if (used)
        mark->spoken_ms = now_ms;
    return used;
}
