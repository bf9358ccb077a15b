// image_mount - an image as a file system, whose contents are fetched when they are read.
#pragma once

#include "console/command.h"

// Runner of `image mount`.
int image_mount_run(call_t *call, rmt_error_t *error);
