// rmt_ntfs - what of an NTFS volume is in use, and whether its system has left it in
// order.
//
// Reads the boot sector, the master file table, $Volume, $Bitmap and the root folder, and
// trusts none of them. Never writes. An instance belongs to one thread.
#pragma once

#include <stdint.h>
#include "base/rmt_error.h"

typedef struct rmt_ntfs rmt_ntfs_t;

// The volume in a part of an open disk, in bytes; borrows fd. Caller owns the result.
// NULL: CORRUPT, IO.
rmt_ntfs_t *rmt_ntfs_new(int fd, uint64_t offset, uint64_t bytes, rmt_error_t *error);
void rmt_ntfs_destroy(rmt_ntfs_t **self_p);

// Is it at rest? 0, or -1: REFUSED (marked as dirty, its log has work left, or its
// Windows is hibernated, which fast startup does too; says the remedy), CORRUPT, IO.
int rmt_ntfs_check(rmt_ntfs_t *self, rmt_error_t *error);

// The next bytes in use at or behind a byte of the part: clusters of $Bitmap, and what
// lies behind the last cluster. Both ends are that of the part when there are none.
// 0, or -1: CORRUPT, IO.
int rmt_ntfs_used(rmt_ntfs_t *self, uint64_t at, uint64_t *begin_out, uint64_t *end_out,
                  rmt_error_t *error);
