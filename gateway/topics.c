#include "gateway/topics.h"
#include "base/rmt_auto.h"
#include "console/cursor.h"

#include <assert.h>
#include <czmq.h>
#include <string.h>

typedef struct {
    rmt_record_t *record;
    char cursor[CURSOR_SIZE]; // Of the youngest entry that is applied
    bool is_missing;          // In the last snapshot
} value_t;

struct topics {
    topics_told_fn *told;
    void *context;
    zhashx_t *values;
    char heard[CURSOR_SIZE];
    char whole[CURSOR_SIZE]; // Of the last snapshot
};

static void
s_free_value(void **value_p)
{
    value_t *value = *value_p;
    rmt_record_destroy(&value->record);
    free(value);
    *value_p = NULL;
}

topics_t *
topics_new(topics_told_fn *told, void *context)
{
    assert(told);
    topics_t *self = zmalloc(sizeof *self);
    self->told = told;
    self->context = context;
    self->values = zhashx_new();
    zhashx_set_destructor(self->values, s_free_value);
    return self;
}

void
topics_destroy(topics_t **self_p)
{
    assert(self_p);
    topics_t *self = rmt_take(self_p);
    if (!self)
        return;
    zhashx_destroy(&self->values);
    free(self);
}

const char *
topics_heard(const topics_t *self)
{
    return self->heard;
}

static void
s_hear(char heard[CURSOR_SIZE], const char *cursor)
{
    if (*cursor && cursor_is_newer(cursor, heard))
        snprintf(heard, CURSOR_SIZE, "%s", cursor);
}

static void
s_set(topics_t *self, const char *topic, const char *cursor, rmt_record_t **record_p)
{
    value_t *value = zhashx_lookup(self->values, topic);
    if (!value || !rmt_record_equal(value->record, *record_p))
        self->told(self->context, topic, *record_p);
    if (!value) {
        value = zmalloc(sizeof *value);
        zhashx_insert(self->values, topic, value);
    }
    rmt_record_destroy(&value->record);
    value->record = rmt_take(record_p);
    value->is_missing = false;
    s_hear(value->cursor, cursor);
    s_hear(self->heard, cursor);
}

// A target of a job that has ended: what its worker still says of the way is of before.
static bool
s_has_ended(const char *topic, const rmt_record_t *record)
{
    static const char *const ends[] = {"done", "failed", "cancelled"};
    const char *state = rmt_record_text(record, "state", "");
    for (size_t i = 0; strstr(topic, "/target/") && i < sizeof ends / sizeof *ends; i++)
        if (streq(state, ends[i]))
            return true;
    return false;
}

// One entry of the audit stream may be told under several topics. A percentage has no
// cursor and adds to the phase; an entry of the audit stream begins a phase or a state,
// of which older figures say nothing.
bool
topics_apply(topics_t *self, const rmt_msg_t *event)
{
    static const char *const of_phase[] = {"done", "total", "text",
                                           "code", "error", "stuck"};
    assert(self && event);
    if (!event->topic || !event->body)
        return false;
    const char *cursor = event->cursor ? event->cursor : "";
    const value_t *old = zhashx_lookup(self->values, event->topic);
    if (*cursor ? !cursor_is_newer(cursor, old ? old->cursor : self->whole)
                : old && s_has_ended(event->topic, old->record))
        return false;
    rmt_record_t *record = old ? rmt_record_dup(old->record) : rmt_record_new();
    for (size_t i = 0; *cursor && i < sizeof of_phase / sizeof *of_phase; i++)
        rmt_record_remove(record, of_phase[i]);
    rmt_auto(rmt_record) told = rmt_record_dup(event->body);
    // That of a target in its job is not that of the machine.
    if (strncmp(event->topic, "target/", 7) == 0 &&
        rmt_record_is(told, "what", "job.target"))
        rmt_record_remove(told, "state");
    rmt_record_merge(record, told);
    s_set(self, event->topic, cursor, &record);
    return true;
}

static topics_change_t
s_end_missing(topics_t *self, zhashx_t *present)
{
    topics_change_t change = {false, false};
    rmt_auto(zlistx) topics = zhashx_keys(self->values);
    for (const char *topic = zlistx_first(topics); topic; topic = zlistx_next(topics)) {
        value_t *value = zhashx_lookup(self->values, topic);
        if (zhashx_lookup(present, topic))
            continue;
        if (!value->is_missing) {
            value->is_missing = change.has_missing = true;
            continue;
        }
        self->told(self->context, topic, NULL);
        zhashx_delete(self->values, topic);
        change.has_ended = true;
    }
    return change;
}

topics_change_t
topics_snapshot(topics_t *self, const rmt_msg_t *all)
{
    assert(self && all && all->items);
    const char *cursor = all->body ? rmt_record_text(all->body, "cursor", "") : "";
    rmt_auto(zhashx) present = zhashx_new();
    for (size_t i = 0; i < rmt_records_count(all->items); i++) {
        rmt_record_t *record = rmt_record_dup(rmt_records_at(all->items, i));
        rmt_auto_str topic = strdup(rmt_record_text(record, "topic", ""));
        rmt_record_remove(record, "topic");
        rmt_record_remove(record, "cursor");
        zhashx_insert(present, topic, self);
        s_set(self, topic, cursor, &record);
    }
    s_hear(self->heard, cursor);
    snprintf(self->whole, sizeof self->whole, "%s", cursor);
    return s_end_missing(self, present);
}
