// rmt_md_live - arrays of md that the kernel runs, by what it shows of them.
#pragma once

#include "base/rmt_error.h"

// The array that runs on a member, by what a sysfs folder tells ("/sys"). Caller owns
// *node_out (free): its node in /dev. 0, or -1: UNSUPPORTED (by name, and what to do:
// none runs, it lacks a member or is filling one, its form is being changed), NOT_FOUND
// (no such device).
int rmt_md_live_find(const char *sysfs, const char *device, char **node_out,
                     rmt_error_t *error);
