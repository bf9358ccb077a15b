// device_name - what the name of a device says of its disk and its partition.
//
// A number at the end of a name alone says nothing: /dev/sdb1 and /dev/nvme1n1 are of
// other disks than /dev/sda1.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Take a name below /dev apart: /dev/sda5 is partition 5 of /dev/sda,
// /dev/disk/by-id/ata-A-part2 is partition 2 of /dev/disk/by-id/ata-A, /dev/vda is
// partition 0 of itself. Caller owns *disk_out (free). False for names that say nothing
// of a disk, such as those of LVM, RAID and encrypted volumes.
bool rmt_device_name_split(const char *path, char **disk_out, uint64_t *partition_out);

// Is it the name that a kernel gives to the first disk of a kind, such as /dev/sda?
bool rmt_device_name_is_first(const char *disk);

// Ask this machine whether a name leads to a disk (0) or to one of its partitions. False
// when it leads to anything else, or nowhere.
bool rmt_device_name_find(const char *path, const char *disk, uint64_t *partition_out);
