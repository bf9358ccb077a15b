// topics - the present value of each topic, of events and snapshots. Pure; an instance
// belongs to one thread.
#pragma once

#include "base/rmt_record.h"
#include "wire/rmt_msg.h"

typedef struct topics topics_t;

// A value is another one now; NULL: the topic is no more.
typedef void(topics_told_fn)(void *context, const char *topic, const rmt_record_t *value);

topics_t *topics_new(topics_told_fn *told, void *context);
void topics_destroy(topics_t **self_p);

// Apply an event that is newer than its topic. False: it is not.
bool topics_apply(topics_t *self, const rmt_msg_t *event);

typedef struct {
    bool has_ended;   // A topic, which was told
    bool has_missing; // A topic, which ends when the next snapshot lacks it as well
} topics_change_t;

// Apply a whole snapshot. What several answers of the broker have together may lack a
// topic that there is; what two snapshots in turn lack is gone.
topics_change_t topics_snapshot(topics_t *self, const rmt_msg_t *all);

// The cursor of the youngest entry of the audit stream that is applied, or "".
const char *topics_heard(const topics_t *self);
