// disk_check - whether an open device is the disk that the order means. The program that
// writes looks itself, after the agent has, before it writes to any disk (P7).
#pragma once

#include <stdint.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"

// target is the record that says what was prepared: a file, by its inode, or a disk of
// the machine, by its identity; both by their size. bytes is the size of the device; root
// is
// "" for this machine, or for tests a folder with the sysfs and proc of another one.
// 0, or -1: INCOMPATIBLE (another file, another disk, another size), IO.
int rmt_disk_check(const rmt_record_t *target, int fd, uint64_t bytes, const char *root,
                   rmt_error_t *error);
