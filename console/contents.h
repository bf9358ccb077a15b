// contents - the contents of an image, fetched from a holder of its place (M7, M17).
#pragma once

#include "console/command.h"

// The fields of a file that a list shows.
extern const char *const contents_columns[];

// Runners of `image show`, `image files` and `image checkout`.
int contents_show(call_t *call, rmt_error_t *error);
int contents_files(call_t *call, rmt_error_t *error);
int contents_checkout(call_t *call, rmt_error_t *error);

// The folder of a volume, mounted at mount in the image, below that of a checkout: where
// the links of the image lead to as they do on its machine, and never out of it (P22). One
// that is missing is made, as systemd makes it. The caller owns the descriptor. -1: IO.
int contents_open_volume(int folder, const char *mount, rmt_error_t *error);
