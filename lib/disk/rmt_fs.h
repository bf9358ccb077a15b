// rmt_fs - file systems: reading their facts from a device, and making them again.
//
// A record of class volume tells how one is made: fs, uuid, label, features, block-size,
// bytes, ... (docs/spec/3-facts.md has them all). Inside a layout it is the format of a
// volume (rmt_layout_set_format).
//
// The features are the image's own and never the defaults of the running system.
// mkfs programs are run without a shell and without the blkid cache.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"
#include "facts/rmt_layout.h"

// Ask what a device or file holds; nothing known is fs=none, with content=unknown when
// its first MiB is not empty. Caller owns the result.
// NULL: UNSUPPORTED (LVM, RAID, encryption, ZFS, bcache, NTFS or a feature we do not
// carry: by name), REFUSED (signatures of several), IO.
rmt_record_t *rmt_fs_probe(const char *path, rmt_error_t *error);

// Add to a record what blkid calls a part of an open disk, whether ramet reads it or not:
// fs, label, uuid; nothing where it finds nothing. 0, or -1: REFUSED (signatures of
// several), IO.
int rmt_fs_identify(int fd, uint64_t offset, uint64_t bytes, rmt_record_t *record,
                    rmt_error_t *error);

// Is a device a physical volume of LVM (rmt_group), and nothing else? 0, or -1: REFUSED
// (signatures of several), IO.
int rmt_fs_is_physical(const char *path, bool *is_physical_out, rmt_error_t *error);

// Refuse a disk that is a member of something larger, whether or not it has a table too:
// that of a mirror is seen on each of its disks when its own data stands at their ends.
// 0, or -1: UNSUPPORTED (by name), IO.
int rmt_fs_refuse_layers(const char *disk, rmt_error_t *error);

// Make the file system of a volume record on a device and read back that it is the
// one asked for. fs=none does nothing. Blocks for mkfs.
// 0, or -1: UNSUPPORTED, NOT_FOUND (no mkfs program), NO_SPACE, IO.
int rmt_fs_make(const rmt_record_t *volume, const char *device, rmt_error_t *error);

// Whether that would go well, tried on a file that stands for the device and is lost: for
// ext and XFS by the dry run of their programs. True also without the program. 0, or -1:
// NOT_FOUND (the program lacks an option), as rmt_fs_make.
int rmt_fs_try(const rmt_record_t *volume, const char *file, rmt_error_t *error);

// True when volumes of this kind are mounted; vfat is read and written with mtools,
// swap and none hold no tree.
bool rmt_fs_is_mounted(rmt_fs_kind_t fs);

// Has the running kernel a driver for this kind, or loads one? A kernel that does not
// tell (before Linux 5.2) is believed to. 0, or -1: UNSUPPORTED.
int rmt_fs_check_kernel(rmt_fs_kind_t fs, rmt_error_t *error);

// Mount with nodev, nosuid, noexec, noatime; of btrfs this subvolume, or for NULL the
// top. Read-only touches nothing on the device (no journal is replayed). 0, or -1:
// UNSUPPORTED, IO.
int rmt_fs_mount(rmt_fs_kind_t fs, const char *subvolume, const char *device,
                 const char *folder, bool read_only, rmt_error_t *error);

// Mount a file system of this kind, as blkid calls it, read-only but so that its log is
// replayed, and unmount it again: the device is written, where it may be. 0, or -1:
// REFUSED (the kernel does not take its log), IO.
int rmt_fs_replay(const char *fs, const char *device, const char *folder,
                  rmt_error_t *error);

// Sync and unmount. 0, or -1: IO (also when it is busy, or the sync failed).
int rmt_fs_unmount(const char *folder, rmt_error_t *error);

// Clear the signatures of all file systems, layers and tables, and read back that
// nothing is left. 0, or -1: IO.
int rmt_fs_wipe(const char *device, rmt_error_t *error);

// Bytes a device must have to hold a tree of so many bytes of data and inodes.
uint64_t rmt_fs_min_bytes(const rmt_record_t *volume, uint64_t tree_bytes,
                          uint64_t inodes);
