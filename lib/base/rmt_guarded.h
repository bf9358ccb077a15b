// rmt_guarded - the one door to files whose owner and mode matter.
//
// A secret that another user can read is no secret, and a file that another user can
// write says what that user wants. The checks are made on the open file, so it cannot be
// exchanged in between.
#pragma once

#include <stddef.h>
#include "base/rmt_error.h"

typedef enum {
    RMT_GUARDED_SECRET, // A plain file of this user, no link; others may neither read nor
                        // write
    RMT_GUARDED_TRUST,  // Of this user or of root; others may not write
} rmt_guarded_kind_t;

typedef struct {
    const char *path;
    const char *what; // For errors, such as "key file"
    rmt_guarded_kind_t kind;
    size_t limit; // In bytes
} rmt_guarded_t;

// Look at owner and mode alone. 0, or -1: CONFIG with the command that mends it;
// NOT_FOUND, IO.
int rmt_guarded_check(const rmt_guarded_t *file, rmt_error_t *error);

// Check and read. Caller owns *text_out, with a NUL behind its *size_out bytes.
// 0, or -1: as above, also CONFIG for a file over its limit.
int rmt_guarded_load(const rmt_guarded_t *file, char **text_out, size_t *size_out,
                     rmt_error_t *error);
