// fold - what a peer can cause to be written without end: lines of the log, entries of
// the audit stream.
//
// Of each event and peer one is written in a minute; the others are counted, and told
// together. The table is bounded: what does not fit is counted together.
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct rmt_fold rmt_fold_t;

rmt_fold_t *rmt_fold_new(void);
void rmt_fold_destroy(rmt_fold_t **self_p);

// Whether it is to be written; else it is counted. event has no blank.
bool rmt_fold_is_first(rmt_fold_t *self, const char *event, const char *peer,
                       int64_t now);

typedef void(rmt_fold_fn)(void *context, const char *event, const char *peer,
                          uint64_t count);

// Tell what was counted, a minute after what was written.
void rmt_fold_tick(rmt_fold_t *self, int64_t now, rmt_fold_fn *told, void *context);
