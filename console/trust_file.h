// trust_file - the files of trust roots and signing keys that a person names.
#pragma once

#include "console/call.h"
#include "trust/rmt_root.h"

// Caller owns the result. NULL: NOT_FOUND, CONFIG (others can write it, or it is too
// big), USAGE (with the path), IO.
rmt_root_t *trust_load(const char *path, rmt_error_t *error);

// Save the text of a trust root and say on standard error what stands there now.
// 0, or -1: IO.
int trust_save(const char *path, const char *text, rmt_error_t *error);

// The trust root that the configuration names, signed by enough of its root keys; NULL
// where it names none. Caller owns *root_out. 0, or -1: CONFIG, NOT_ALLOWED, as
// trust_load.
int trust_of(call_t *call, rmt_root_t **root_out, rmt_error_t *error);
