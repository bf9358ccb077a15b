// webhook - a thread that tells one webhook each new state of each job.
//
// What the webhook has taken is in a file, so after a restart it is told what it does not
// have yet; what is lost between its answer and the file it gets twice. Of a job it is
// told the present state, so what waits for a webhook that does not answer is never more
// than one for each job that is kept. Nothing else waits for it.
#pragma once

#include "gateway/settings.h"

typedef struct webhook webhook_t;

// index: of the settings' webhooks. Borrows settings. Caller owns the result. NULL: USAGE
// (its URL), CONFIG, IO (its file).
webhook_t *webhook_new(const settings_t *settings, size_t index, rmt_error_t *error);
// Blocks while the webhook or the broker is asked, 10 s at most.
void webhook_destroy(webhook_t **self_p);

// A job may have another state. Never blocks.
void webhook_wake(webhook_t *self);

// Since the start of the gateway.
typedef struct {
    uint64_t told, failed; // Messages that it has taken, and that it has not
    bool is_up;            // It answered the last time; true before the first one
} webhook_counts_t;
webhook_counts_t webhook_counts(const webhook_t *self);
