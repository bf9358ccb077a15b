// listener - a thread that keeps the state of the farm: it subscribes to all topics, asks
// for the snapshot, and applies what is newer; by itself again after each loss.
#pragma once

#include <czmq.h>
#include "gateway/feed.h"
#include "gateway/settings.h"

typedef struct listener listener_t;

// Borrows settings. Caller owns the result. NULL: USAGE, IO.
listener_t *listener_new(const settings_t *settings, rmt_error_t *error);
// Blocks while the broker is asked, some seconds at most.
void listener_destroy(listener_t **self_p);

// Readable when there is news.
zsock_t *listener_pipe(listener_t *self);
// Take what has come into the feed; never blocks. The topic "broker" tells whether the
// state is that of now: state up, or away with the reason in text.
// True: a job may have another state.
bool listener_take(listener_t *self, feed_t *feed);
