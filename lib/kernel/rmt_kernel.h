// rmt_kernel - the kernel that a system starts, and the lists of its drivers.
//
// The lists that depmod made (which names each module serves, what modules need, what is
// built in), the settings of modprobe, and the modules in the initramfs: enough to judge
// by rmt_drivers, without the tree, whether this kernel drives a machine.
#pragma once

#include <stddef.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"
#include "kernel/rmt_initramfs.h"

// A tree of the system: where it is mounted, and its root. One that is not mounted is
// looked at for the entries of a boot loader alone.
typedef struct {
    const char *mount; // NULL: nowhere
    int fd;
    rmt_initramfs_memory_t *memory; // Of its initramfs; NULL: it is read each time
} rmt_kernel_tree_t;

// Given each file that was found. 0, or -1 with error to end the reading.
typedef int(rmt_kernel_file_fn)(void *context, const char *name, const void *data,
                                size_t size, rmt_error_t *error);

// Find the kernel: the one that /vmlinuz or /boot/vmlinuz leads to, else the newest one
// with an image, else the newest one with modules. Gives its files in a fixed order. Its
// initramfs lies where distributions put it, else where a boot entry says
// (rmt_boot_entry.h).
// Caller owns *kernel_out: class=kernel {version, image, initramfs, initramfs-state
// read|none|unknown, reason}, or NULL when the trees hold no kernel with modules.
// 0, or -1: what the callback says; DISK, IO (a tree that cannot be looked into).
int rmt_kernel_read(const rmt_kernel_tree_t *trees, size_t count,
                    rmt_kernel_file_fn *file, void *context, rmt_record_t **kernel_out,
                    rmt_error_t *error);
