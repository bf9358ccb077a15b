// diff - the differences between two images, or between an image and a store or a
// machine (M7).
#pragma once

#include "console/command.h"

// The fields of a difference between two images.
extern const char *const diff_columns[];

// Runners of `image diff` and `image verify`.
int diff_images(call_t *call, rmt_error_t *error);
int diff_verify(call_t *call, rmt_error_t *error);
