// rmt_io - whole reads and writes, and files that appear complete or not at all.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/rmt_error.h"

// Write all bytes; goes on after EINTR and short writes. 0, or -1: IO, NO_SPACE.
int rmt_io_write(int fd, const void *data, size_t size, rmt_error_t *error);

// Read exactly size bytes. 0, or -1: IO; CORRUPT when the end comes first.
int rmt_io_read(int fd, void *data, size_t size, rmt_error_t *error);

// As above, at an offset.
int rmt_io_pwrite(int fd, const void *data, size_t size, off_t offset,
                  rmt_error_t *error);
int rmt_io_pread(int fd, void *data, size_t size, off_t offset, rmt_error_t *error);

// Read a whole file of at most limit bytes; a NUL byte that is not counted is
// appended. Caller owns *data_out (free). 0, or -1: NOT_FOUND, TOO_BIG, IO.
int rmt_io_load(const char *path, size_t limit, void **data_out, size_t *size_out,
                rmt_error_t *error);

// The same of an open file, from where it is read. Errors name no file.
int rmt_io_load_fd(int fd, size_t limit, void **data_out, size_t *size_out,
                   rmt_error_t *error);

// Make a file durable before it is visible: temporary name in the same folder,
// write, fsync, rename, fsync of the folder. 0, or -1: IO, NO_SPACE; then the old
// file, if any, is untouched.
int rmt_io_save(const char *path, const void *data, size_t size, mode_t mode,
                rmt_error_t *error);

// fsync the folder that holds path. 0, or -1: IO.
int rmt_io_sync_parent(const char *path, rmt_error_t *error);

// Make a folder and its missing parents. 0, also when the folder exists; -1: EXISTS (the
// path or a parent is not a folder), IO.
int rmt_io_mkdirs(const char *path, mode_t mode, rmt_error_t *error);

// Remove a tree without following symlinks or crossing mounts. 0, or -1: IO.
int rmt_io_remove_tree(const char *path, rmt_error_t *error);

// Caller owns the result of printf into fresh memory; aborts when memory is out.
char *rmt_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
