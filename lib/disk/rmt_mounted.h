// rmt_mounted - the devices below a mounted file system.
#pragma once

#include <stdbool.h>
#include "base/rmt_error.h"

// The disk of which a partition is mounted on a folder. Caller owns *disk_out (free): its
// node in /dev; "" when it is a disk without a table, or no device at all.
// 0, or -1: UNSUPPORTED (LVM, encryption, multipath, RAID, bcache, ZFS between the two,
// by name), NOT_FOUND (nothing is mounted there), IO.
int rmt_mounted_disk(const char *folder, char **disk_out, rmt_error_t *error);

// A folder on which the whole file system of a block device is mounted now: the wanted
// one (NULL for none; an automount does its part) if it is there, else the first that no
// other mount hides. Caller owns *folder_out (free); NULL when it is mounted nowhere. 0,
// or -1: NOT_FOUND (no such device), IO.
int rmt_mounted_folder(const char *device, const char *wanted, char **folder_out,
                       rmt_error_t *error);

// The mount point that a folder is in the system whose tree lies at root: "/", "/boot"
// ... NULL for one outside of it, and where people mount things for a while (/mnt,
// /media, /run, /tmp). Borrows folder.
const char *rmt_mounted_point(const char *folder, const char *root);

// rmt_mounted_disk from a table of mounts in the form of /proc/self/mountinfo and a sysfs
// folder; for tests.
int rmt_mounted_disk_at(const char *table, const char *sysfs, const char *folder,
                        char **disk_out, rmt_error_t *error);

// True when a file system of this block device is mounted in a way that it can be
// written, wherever that is. What cannot be told is not.
bool rmt_mounted_is_written(const char *device);
