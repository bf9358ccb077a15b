// rmt_sweep - removing the files of writers that ended without a commit. Private to
// lib/store.
#pragma once

#include <stdint.h>
#include "base/rmt_error.h"

// How many folders in <root>/tmp have no living owner. 0, or -1: IO.
int rmt_sweep_count(const char *root, uint64_t *count_out, rmt_error_t *error);
// Remove them, and half-written indexes and images. Both locks are held exclusively.
// 0, or -1: IO.
int rmt_sweep(const char *root, uint64_t *count_out, rmt_error_t *error);
