// kernel - facts about the kernel that a source's system starts, for matching.
#pragma once

#include "agent/source/source_disk.h"
#include "agent/source/pieces.h"
#include "base/rmt_error.h"
#include "base/rmt_record.h"
#include "kernel/rmt_initramfs.h"

// Append records of class kernel and kernel-file (docs/spec/5-image.md), and put the
// chunks that these name. A system without a kernel has none. memory: of its initramfs,
// or NULL. 0, or -1: what put says.
int rmt_agent_kernel(rmt_source_disk_t *disk, rmt_initramfs_memory_t *memory,
                     rmt_pieces_put_fn *put, void *context, rmt_records_t *records,
                     rmt_error_t *error);
