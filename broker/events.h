// events - publishing what happens to subscribers.
//
// Everything durable is read from the audit stream, whichever broker made it, and is
// published with its id as cursor; changed keys, grants and eras are taken over from
// there too. Percentages go by in memory only, at most two a second for each task.
#pragma once

#include "broker/broker.h"

rmt_events_t *rmt_events_new(rmt_broker_t *broker);
void rmt_events_destroy(rmt_events_t **self_p);

// Begin after this audit id.
void rmt_events_begin(rmt_events_t *self, const char *last);
// Read on in the audit stream; cheap when it is being read already.
void rmt_events_tail(rmt_events_t *self);

// Where a task stands. flight: fields job, service, subject; see roster.h.
void rmt_events_progress(rmt_events_t *self, const rmt_record_t *flight,
                         const rmt_msg_t *progress);
// A task has ended: its percentage is out of date.
void rmt_events_forget(rmt_events_t *self, const rmt_record_t *flight);
// All percentages are.
void rmt_events_forget_all(rmt_events_t *self);

// Lay the last percentages over an item that has the topic.
void rmt_events_merge(const rmt_events_t *self, const char *topic, rmt_record_t *item);
