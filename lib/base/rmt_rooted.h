// rmt_rooted - files below the root of a foreign tree, which may have a device, a FIFO or
// a link to elsewhere in place of every file.
//
// What lies at a path is looked at before it is opened, and only a regular file is
// opened: opening a device has effects, and opening a FIFO waits. The rooms that read
// foreign trees open nothing by other means (tests/lint/check_trees.sh).
//
// Paths are relative to the tree's root, with or without a leading slash. Reading
// follows symlinks as that system would, but never out of the tree. Whatever
// changes the tree takes no path that has a symlink in it; flags that keep files and
// folders from changing (chattr +i, +a) are taken off for it and set again, also on a
// file that takes the place of another.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "base/rmt_error.h"

// Load the regular file: *data_out is its bytes with a NUL behind them, or NULL when the
// path leads to none. Caller owns them (free); size_out may be NULL.
// 0, or -1 when there is one that cannot be read: TOO_BIG (larger than 16 MiB), DISK, IO.
int rmt_rooted_load(int root_fd, const char *path, char **data_out, size_t *size_out,
                    rmt_error_t *error);

// Open the regular file for reading: *fd_out is -1 when the path leads to none. Caller
// owns it (close). 0, or -1: DISK, IO.
int rmt_rooted_open(int root_fd, const char *path, int *fd_out, rmt_error_t *error);
// What was opened with O_PATH, opened for reading when it is a regular file; the other
// one stays open. Caller owns it (close). -1 with errno; ENXIO for what is none.
int rmt_rooted_reopen(int path_fd);

// ---- Looks: what is not there is an answer, and no error.

// A look that fails for another reason, such as a broken disk, answers as if nothing were
// there. So who decides by looks says so before the first and after the last of them.

// Forget the looks of this thread that failed so far.
void rmt_rooted_begin(void);
// The result; -1 with the error of the first look of this thread that failed since, also
// in place of an error that follows from it.
int rmt_rooted_end(int result, rmt_error_t *error);

// Is there something at this path, symlinks followed?
bool rmt_rooted_exists(int root_fd, const char *path);

// Kind of what is at the very path (S_IFREG, S_IFLNK, ...); 0 for nothing, also when
// a symlink leads there.
mode_t rmt_rooted_kind(int root_fd, const char *path);

// Status of what is at the very path. 0, or -1 for nothing, also when a symlink leads
// there.
int rmt_rooted_status(int root_fd, const char *path, struct stat *info_out);

// Where the symlink at the very path points to, or NULL when it is none. Caller owns the
// result (free).
char *rmt_rooted_readlink(int root_fd, const char *path);

// The path of what this one leads to, without a symlink in it and with a leading slash,
// or NULL when it leads to nothing. Caller owns the result (free).
char *rmt_rooted_real(int root_fd, const char *path);

// Names in a folder, sorted, each with its NUL, an empty one last; never NULL. At most
// 65,536 are read. Caller owns it (free).
char *rmt_rooted_list(int root_fd, const char *path);

// Number of things below a folder that are no folders, mount points not entered.
size_t rmt_rooted_count(int root_fd, const char *path);

// The folder that holds path, opened for reading; *name_out is the last part, within
// path. Caller owns it (close). -1: REFUSED (a symlink in the path), NOT_FOUND, USAGE,
// IO.
int rmt_rooted_open_parent(int root_fd, const char *path, const char **name_out,
                           rmt_error_t *error);

// Put a new file in place of what is there; missing folders are made (0755, root). The
// security label of what was there, else of the folder, goes over to the new file.
// 0, or -1: REFUSED (a symlink in the path), NO_SPACE, IO.
int rmt_rooted_write(int root_fd, const char *path, const void *data, size_t size,
                     const struct stat *owner_and_mode, rmt_error_t *error);

// The same for a symlink, which gets no label.
int rmt_rooted_symlink(int root_fd, const char *path, const char *target,
                       rmt_error_t *error);

// Set the security label of what is at the very path; a file system without labels keeps
// none. 0, or -1: REFUSED, NOT_FOUND, IO.
int rmt_rooted_set_label(int root_fd, const char *path, const char *label,
                         rmt_error_t *error);

// Remove what is no folder; nothing there is well. 0, or -1: REFUSED, IO.
int rmt_rooted_remove(int root_fd, const char *path, rmt_error_t *error);

// Remove a folder; one that is not empty stays, and none is well. 0, or -1: REFUSED, IO.
int rmt_rooted_remove_folder(int root_fd, const char *path, rmt_error_t *error);

// Give what is at the path `from` another path of its file system, in place of what is
// there; missing folders are made. Nothing at `from` is well. 0, or -1: REFUSED, IO.
int rmt_rooted_move(int root_fd, const char *from, const char *path, rmt_error_t *error);

// Make a folder and its missing parents (0755, root). 0, also when something is there;
// -1: REFUSED, NO_SPACE, IO.
int rmt_rooted_mkdirs(int root_fd, const char *path, rmt_error_t *error);
