// rmt_holders - what the kernel has built on a device.
#pragma once

#include "base/rmt_error.h"

// Names of the devices (of device-mapper, md) that lie directly on one, by what a sysfs
// folder tells ("/sys"): each with its NUL, an empty one last. Caller owns the result
// (free). NULL: NOT_FOUND (no such device).
char *rmt_holders_list(const char *sysfs, const char *device, rmt_error_t *error);
