// rmt_space - whether the file system of a store has space for more.
#pragma once

#include <stdint.h>
#include "base/rmt_error.h"

// How much must be free before a write that found no space is tried again: what is free
// now, which was too little, and space for a pack; never more than the file system can
// give. 0 when the space cannot be read.
uint64_t rmt_space_needed(const char *store);

// Are so many bytes, and at least those of a pack, free for the user of this process?
// 0, or -1: NO_SPACE, in words that name the place of the store, the space, and a command
// that frees some. A file system that does not tell its space has it.
int rmt_space_check(const char *store, const char *place, uint64_t needed,
                    rmt_error_t *error);
