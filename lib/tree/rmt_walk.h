// rmt_walk - all names below a folder of one file system, in manifest order.
//
// The walk goes by descriptors, one component at a time, and follows no symlink. It
// never enters what is mounted on a folder, and skips sockets. Depth is not limited
// by PATH_MAX or by the number of descriptors. Memory is the names of the open
// folders. The tree may change meanwhile: what vanishes is counted.
//
// An instance belongs to one thread; folders may be handed to others.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "base/rmt_error.h"

// An open folder that is shared by reference.
typedef struct rmt_dir rmt_dir_t;
rmt_dir_t *rmt_dir_ref(rmt_dir_t *self);
// Gives back one reference and nulls it; the last one closes. Any thread.
void rmt_dir_destroy(rmt_dir_t **self_p);
int rmt_dir_fd(const rmt_dir_t *self);

// Open what must be a plain name in a folder: without touching its access time when
// that is allowed, and never through a symlink. -1 with errno.
int rmt_walk_open(int dir_fd, const char *name, int flags);

// Open a folder of a file system as if nothing were mounted below it, so that a walk
// sees what lies beneath mount points. Needs the right to mount; without it, as in a
// container, the folder is opened as it is. -1 with errno.
int rmt_walk_open_bare(const char *path);

typedef struct {
    const char *path; // "" is the root
    size_t path_size;
    const char *name;   // Last component; NULL for the root
    rmt_dir_t *parent;  // NULL for the root
    rmt_dir_t *dir;     // Folders: themselves, open; NULL when that failed
    struct stat status; // When failed: perhaps only the type is known
    int failed;         // 0, or the errno with which it could not be read
    bool is_mount;      // Something else is mounted here; contents are not its own
} rmt_walk_item_t;

typedef struct {
    uint64_t sockets, vanished, mounts, excluded;
} rmt_walk_report_t;

typedef struct rmt_walk rmt_walk_t;

// Walk the folder root_fd, which stays the caller's. excludes is a NULL-terminated
// list of globs (rmt_glob.h) or NULL, borrowed while self lives. Caller owns the result.
// NULL: IO.
rmt_walk_t *rmt_walk_new(int root_fd, const char *const *excludes, rmt_error_t *error);
void rmt_walk_destroy(rmt_walk_t **self_p);
// Have each path that an exclude leaves out told, before rmt_walk_next returns.
void rmt_walk_on_excluded(rmt_walk_t *self,
                          void (*excluded_fn)(void *context, const char *path),
                          void *context);
// The next name; the item's pointers are valid until the next call. A folder in which
// paths could grow over RMT_PATH_SIZE_MAX or RMT_PATH_DEPTH_MAX is one that cannot be
// read (ENAMETOOLONG). 1, 0 at the end, or -1: IO for the root.
int rmt_walk_next(rmt_walk_t *self, rmt_walk_item_t *item_out, rmt_error_t *error);
const rmt_walk_report_t *rmt_walk_report(const rmt_walk_t *self);
