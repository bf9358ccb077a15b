// rmt_make - one inode that is no folder, made from an entry. For rmt_writer and
// rmt_converge alone.
#pragma once

#include "base/rmt_error.h"
#include "tree/rmt_extents.h"
#include "tree/rmt_folder.h"
#include "store/rmt_manifest.h"

// Make it in its folder, with contents still to come and attributes still to be applied.
// The descriptor is O_PATH for what cannot be opened. Caller owns it. -1: EXISTS, IO,
// NO_SPACE, UNSUPPORTED.
int rmt_make_open(const rmt_folder_t *folder, const rmt_entry_t *entry,
                  rmt_error_t *error);
// The runs of contents of an entry; whole_room holds the one run of a file without holes.
rmt_runs_t rmt_make_runs(const rmt_entry_t *entry, rmt_extent_t *whole_room);
// Apply the attributes. A member of a link group stays without RMT_META_LOCK_FLAGS, as
// links could not be added to it. 0, or -1: IO.
int rmt_make_finish(const rmt_folder_t *folder, int fd, const rmt_entry_t *entry,
                    rmt_error_t *error);
// All of it at once. data is its contents.
int rmt_make_whole(const rmt_folder_t *folder, const rmt_entry_t *entry, const void *data,
                   size_t size, rmt_error_t *error);
// "/path: " before the error. Returns -1.
int rmt_make_wrap(const rmt_entry_t *entry, rmt_error_t *error);
