// contents - the contents of an image, fetched from a holder of its place (M7, M17).
#pragma once

#include "console/command.h"

// The fields of a file that a list shows.
extern const char *const contents_columns[];

// Runners of `image show`, `image files` and `image checkout`.
int contents_show(call_t *call, rmt_error_t *error);
int contents_files(call_t *call, rmt_error_t *error);
int contents_checkout(call_t *call, rmt_error_t *error);
