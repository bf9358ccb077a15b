// saver - writes the state file beside the loop of the broker: an ARM and a GO wait for
// their disk, and nothing else does.
#pragma once

#include "broker/broker.h"

// error: why the file could not be written; its code is OK when the file has all that the
// broker knew when it asked, and CANCELLED when the broker ends.
typedef void(rmt_saver_fn)(void *context, const rmt_error_t *error);

// The broker is NOT owned.
rmt_saver_t *rmt_saver_new(rmt_broker_t *broker);
// Waits for the end of the write that is under way.
void rmt_saver_destroy(rmt_saver_t **self_p);

// Have the file written when it does not have all that the broker knows, then call fn; at
// once when it does. Those who ask while it is written share the next write.
void rmt_saver_save(rmt_saver_t *self, rmt_saver_fn *fn, void *context);

// Readable when a write has ended; then call rmt_saver_handle, which never blocks.
int rmt_saver_fd(const rmt_saver_t *self);
void rmt_saver_handle(rmt_saver_t *self);

// Wait until nothing is written, and all who asked were called.
void rmt_saver_wait(rmt_saver_t *self);
