// rmt_lock - the locks of a store's folder, between all programs that share it. For
// lib/store alone.
#pragma once

#include <sys/file.h>
#include "base/rmt_error.h"

#define RMT_LOCK_IMAGES "lock.images" // Shared: publish an image. Exclusive: gc
#define RMT_LOCK_INDEX "lock.index"   // Exclusive: replace indexes
#define RMT_LOCK_SCRUB "lock.scrub"   // Exclusive: one scrub at a time

// Lock <root>/<file> with flock(2) operation. The lock ends with the descriptor, which
// the caller closes. -1: IO; UNAVAILABLE when it is held and operation has
// LOCK_NB.
int rmt_lock_take(const char *root, const char *file, int operation, rmt_error_t *error);
