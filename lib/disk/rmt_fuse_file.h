// rmt_fuse_file - the blocks of rmt_cow as the only file of a FUSE file system. Private
// to lib/disk.
#pragma once

#include "disk/rmt_cow.h"

// Answer the requests of the kernel on an open /dev/fuse until it is unmounted, with
// system calls alone; for a child that was forked beside other threads. room has
// RMT_FUSE_FILE_ROOM bytes.
#define RMT_FUSE_FILE_ROOM ((size_t) 132 * 1024)
void rmt_fuse_file_serve(int fuse, rmt_cow_t *cow, void *room);
