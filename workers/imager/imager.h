// imager - the tasks of a sending place (docs/spec/4-control.md). Their context is an
// rmt_holder_t.
#pragma once

#include "net/rmt_worker.h"

// Turn a received descriptor into an image of the store.
int imager_commit(rmt_task_t *task, void *holder, rmt_error_t *error);

// Make sure that everything an image names is in the store and can be sent.
int imager_package(rmt_task_t *task, void *holder, rmt_error_t *error);

// The data port receives; a task of this service is refused.
int imager_receive(rmt_task_t *task, void *holder, rmt_error_t *error);

// The record of class image of a descriptor. NULL: CORRUPT (there is none), UNSUPPORTED
// (a format or a feature that is not known here). For tests.
const rmt_record_t *imager_find_image(const rmt_records_t *descriptor,
                                      rmt_error_t *error);
