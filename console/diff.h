// diff - what is different between two images, or an image and what a place or a machine
// has of it (M7).
#pragma once

#include "console/command.h"

// Runners of `image diff` and `image verify`.
int diff_images(call_t *call, rmt_error_t *error);
int diff_verify(call_t *call, rmt_error_t *error);
