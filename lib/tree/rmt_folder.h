// rmt_folder - a folder that is being filled. For rmt_writer and rmt_converge
// alone.
//
// A folder gets its attributes when its last reference goes: those of the path on which
// the writer stands, of the files still to be made in it, and of the folders in it. So
// nothing is made in a folder that is finished, whatever thread was late. References are
// added by the writing thread only, and dropped by any.
#pragma once

#include <stdbool.h>
#include "base/rmt_error.h"
#include "store/rmt_manifest.h"

typedef struct rmt_folder rmt_folder_t;

// The root of the tree: an existing folder. NULL: IO.
rmt_folder_t *rmt_folder_new_root(int root_fd, const rmt_entry_t *entry,
                                  rmt_error_t *error);
// Make a folder in parent, which it keeps a reference of. Only lost+found below the
// root may exist. The result has one reference. NULL: EXISTS, IO, NO_SPACE.
rmt_folder_t *rmt_folder_new(rmt_folder_t *parent, const rmt_entry_t *entry,
                             rmt_error_t *error);
// A folder that stands in parent. It may have more than its entry, and hands down what it
// has. NULL: IO.
rmt_folder_t *rmt_folder_open(rmt_folder_t *parent, const rmt_entry_t *entry,
                              rmt_error_t *error);
rmt_folder_t *rmt_folder_ref(rmt_folder_t *self);
// Drop a reference; the last one gives it its attributes, if apply, and drops its
// parent's. 0, or -1: IO. It is gone in any case.
int rmt_folder_drop(rmt_folder_t *self, bool apply, rmt_error_t *error);

int rmt_folder_fd(const rmt_folder_t *self);
// Bytes of its path; the path itself is not kept, as trees may be deep.
size_t rmt_folder_path_size(const rmt_folder_t *self);
// True when inodes made in it may come with more than they were asked for: a group,
// default ACL, flags or project that the folder hands down.
bool rmt_folder_hands_down(const rmt_folder_t *self);

// Close the descriptor of a folder on the path that only the folder below it uses.
// False when it is in use.
bool rmt_folder_shed(rmt_folder_t *self);
// Open it again from the folder below. 0, or -1: IO.
int rmt_folder_reopen(rmt_folder_t *self, const rmt_folder_t *below, rmt_error_t *error);
