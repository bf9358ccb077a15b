// rmt_initramfs - the kernel modules of an initramfs, and its programs for layers of
// disks.
#pragma once

#include <stdint.h>
#include "base/rmt_error.h"

// Read an initramfs (cpio archives behind each other, the last ones compressed) and list
// the modules below lib/modules/VERSION: names as the kernel shows them, sorted, each
// once, a line each; among them "program:mdadm", "program:lvm" and "program:cryptsetup"
// for these programs, of which the last may be systemd-cryptsetup. It is read from where
// the descriptor stands, at most `size` bytes (UINT64_MAX: to the end of the file).
// Borrows the descriptor. Blocks for all of it; its contents are not kept. Caller owns
// *names_out (free). 0, or -1: UNSUPPORTED (a compression or archive that is not known),
// CORRUPT, TOO_BIG, IO.
int rmt_initramfs_modules(int fd, uint64_t size, const char *version, char **names_out,
                          rmt_error_t *error);
