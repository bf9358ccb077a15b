// rmt_unclean - how a file system was left: cleanly, or with work for its next start.
#pragma once

#include "base/rmt_error.h"

typedef enum {
    RMT_UNCLEAN_NOT,
    RMT_UNCLEAN_LOG,  // A mount by the kernel replays its log, or ends what was begun
    RMT_UNCLEAN_CHECK // Its program of the family fsck has to look at it
} rmt_unclean_t;

// Look at a file system of this kind, as blkid calls it. *why_out is said of it ("its
// journal was not replayed") and lives for ever. In doubt a log counts as not replayed.
// Of a device that is in use the kernel has the log in hand: it counts as clean. 0, or
// -1: UNSUPPORTED (its log is on another device), IO.
int rmt_unclean_look(const char *fs, const char *device, rmt_unclean_t *unclean_out,
                     const char **why_out, rmt_error_t *error);
