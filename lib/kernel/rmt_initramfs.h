// rmt_initramfs - the kernel modules of an initramfs, and its programs for layers of
// disks.
#pragma once

#include <stdint.h>
#include "base/rmt_error.h"

// What was read of the last initramfs. An object of one thread at a time.
typedef struct rmt_initramfs_memory rmt_initramfs_memory_t;

// What changed within margin_s before it was read is not kept: its times cannot show a
// later change. Caller owns the result.
rmt_initramfs_memory_t *rmt_initramfs_memory_new(uint32_t margin_s);
void rmt_initramfs_memory_destroy(rmt_initramfs_memory_t **self_p);

// Read an initramfs (cpio archives behind each other, the last ones compressed) and list
// the modules below lib/modules/VERSION: names as the kernel shows them, sorted, each
// once, a line each; among them "program:mdadm", "program:lvm" and "program:cryptsetup"
// for these programs, of which the last may be systemd-cryptsetup. It is read from where
// the descriptor stands, at most `size` bytes (UINT64_MAX: to the end of the file).
// Borrows the descriptor. Blocks for all of it; its contents are not kept. What memory
// has of these bytes of a file with the same status, for the same version, is not read
// again: for file systems where each change shows in the ctime; NULL for others. Caller
// owns *names_out (free). 0, or -1: UNSUPPORTED (a compression or archive that is not
// known), CORRUPT, TOO_BIG, IO.
int rmt_initramfs_modules(rmt_initramfs_memory_t *memory, int fd, uint64_t size,
                          const char *version, char **names_out, rmt_error_t *error);
