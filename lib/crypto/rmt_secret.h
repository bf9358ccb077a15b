// rmt_secret - reading a file that only its owner may read, and forgetting a secret.
#pragma once

#include <stddef.h>
#include "base/rmt_error.h"

#define RMT_SECRET_FILE_SIZE_MAX ((size_t) 4096)

// Read a plain file of the caller's that has no bits for group and others
// (base/rmt_guarded.h). what: for errors, such as "key file". Caller owns *text_out and
// gives it back to rmt_secret_free.
// 0, or -1: NOT_FOUND, CONFIG (a symlink, another owner, open to others, too big), IO.
int rmt_secret_load(const char *path, const char *what, char **text_out,
                    rmt_error_t *error);

// Overwrite and free. Accepts a pointer to NULL.
void rmt_secret_free(char **text_p);
// As rmt_auto_str (base/rmt_auto.h).
#define rmt_auto_secret __attribute__((cleanup(rmt_secret_free))) char *
