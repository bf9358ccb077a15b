// Members of an array of md in memory, for tests of their superblocks.
#pragma once

#include "disk/rmt_md.h"

#define MIB ((uint64_t) 1024 * 1024)
#define BYTES (8 * MIB + 512)

extern const uint8_t md_uuid[16];

// An empty member of BYTES.
int md_memory(void);
// A member of an array that is whole, clean and in sync.
rmt_md_t md_member(rmt_md_version_t version, int32_t level, uint32_t slot,
                   uint32_t count);
