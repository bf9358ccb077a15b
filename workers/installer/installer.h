// installer - the tasks of an engine (docs/spec/4-control.md). Their context is an
// rmt_holder_t.
#pragma once

#include "net/rmt_worker.h"

// Compare the image's hardware with every target of the engine and put the verdicts.
int installer_match(rmt_task_t *task, void *holder, rmt_error_t *error);

// Make the imaging area complete: fetch what this engine's store lacks of an image.
int installer_build(rmt_task_t *task, void *holder, rmt_error_t *error);

// Write down what one target is to become.
int installer_order(rmt_task_t *task, void *holder, rmt_error_t *error);

// A target was written: at its next netboot it is sent to its own disk.
int installer_netboot(rmt_task_t *task, void *holder, rmt_error_t *error);

// Switch the power of machines, or look at it; a finding for each.
int installer_power(rmt_task_t *task, void *holder, rmt_error_t *error);

// Bring the machine of one target to its agent, unless that is there.
int installer_wake(rmt_task_t *task, void *holder, rmt_error_t *error);
