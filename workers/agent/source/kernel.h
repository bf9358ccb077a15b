// kernel - facts about the kernel that a source's system starts, for matching.
#pragma once

#include "agent/source/source_disk.h"
#include "store/rmt_chunk.h"
#include "base/rmt_error.h"
#include "base/rmt_record.h"

typedef int(rmt_agent_kernel_put_fn)(void *context, const rmt_chunk_t *chunk,
                                     rmt_error_t *error);

// Append records of class kernel and kernel-file (docs/spec/5-image.md), and put the
// chunks that these name. A system without a kernel has none. 0, or -1: what put says.
int rmt_agent_kernel(rmt_source_disk_t *disk, rmt_agent_kernel_put_fn *put, void *context,
                     rmt_records_t *records, rmt_error_t *error);
