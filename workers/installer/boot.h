// boot - where a task's target boots from, for the tasks of an engine.
#pragma once

#include "place/holder.h"

// The target of an order task comes back to the installer at its next netboot. Nothing is
// done where the setting "boot" is empty. 0, or -1: IO, PROTOCOL.
int installer_boot_reset(rmt_task_t *task, const rmt_holder_t *holder,
                         rmt_error_t *error);
