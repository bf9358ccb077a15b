// rmt_boot_entry - the kernels that a boot loader finds by itself (UAPI Boot Loader
// Specification): entries of files loader/entries/*.conf (type 1), and unified kernel
// images EFI/Linux/*.efi (type 2).
#pragma once

#include <stdint.h>
#include "base/rmt_error.h"

typedef struct {
    char *image;     // Owned: path of the kernel, from the root of the tree
    char *initramfs; // Owned: path of the file with it; NULL: it has none
    // Where the initramfs lies in that file; a size of UINT64_MAX is all of it.
    uint64_t initramfs_at, initramfs_size;
} rmt_boot_entry_t;

// Find the entry of a kernel of this version below "loader/entries" or "EFI/Linux" of a
// tree, and below its folder "boot". Of several the one with the last name counts, as
// names end with a version; one that tells no version counts where it is the only one.
// 1 (clear *entry_out), 0: none, or -1: DISK, IO, TOO_BIG (a file of entries).
int rmt_boot_entry_find(int root_fd, const char *version, rmt_boot_entry_t *entry_out,
                        rmt_error_t *error);
void rmt_boot_entry_clear(rmt_boot_entry_t *self);
