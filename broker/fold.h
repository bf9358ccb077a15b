// fold - lines of the log that a peer can cause without end.
//
// Of each event and peer one line is written in a minute; the others are counted, and
// told together as log.folded. The table is bounded: what does not fit is counted
// together.
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct rmt_fold rmt_fold_t;

rmt_fold_t *rmt_fold_new(void);
void rmt_fold_destroy(rmt_fold_t **self_p);

// Whether the line is to be written; else it is counted.
bool rmt_fold_is_first(rmt_fold_t *self, const char *event, const char *peer,
                       int64_t now);

// Tell what was counted, a minute after the line that was written.
void rmt_fold_tick(rmt_fold_t *self, int64_t now);
