// rmt_errno_io - whole reads and writes of a range that answer with an errno. Private to
// lib/disk.
//
// They make system calls and nothing else, so a child may make them that was forked
// beside other threads.
#pragma once

#include <stddef.h>
#include <stdint.h>

// 0, or an errno; EIO when the file or device ends before.
int rmt_errno_pread(int fd, void *data, size_t size, uint64_t at);
int rmt_errno_pwrite(int fd, const void *data, size_t size, uint64_t at);
