// rmt_fuse_file - blocks as the only file of a FUSE file system. Private to lib/disk.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define RMT_FUSE_FILE_BLOCK 4096 // In which the kernel likes to ask

// What the file shows. Its calls make system calls and nothing else, and give 0 or an
// errno.
typedef struct {
    void *self;
    uint64_t size;
    int (*read)(void *self, void *data, size_t size, uint64_t at);
    int (*write)(void *self, const void *data, size_t size, uint64_t at);
    int (*flush)(void *self); // NULL: nothing of it outlives the child
    const int *fds;           // Borrowed: the descriptors that it uses
    size_t fd_count;
} rmt_fuse_blocks_t;

// Answer the requests of the kernel on an open /dev/fuse until it is unmounted, with
// system calls alone; for a child that was forked beside other threads. room has
// RMT_FUSE_FILE_ROOM bytes.
#define RMT_FUSE_FILE_ROOM ((size_t) 132 * 1024)
void rmt_fuse_file_serve(int fuse, const rmt_fuse_blocks_t *blocks, void *room);
