// rmt_action - the records that a personalisation is made of. Private to lib/system.
//
//   class=write  {path, what, mode (octal), uid, gid, content}
//   class=link   {path, what, target}
//   class=remove {path, what}
//   class=move   {path, what, from}
//   class=remove-folder {path, what}     where it is empty
//
// `what` is a word for people and for reports, such as "hostname".
#pragma once

#include <stddef.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"

void rmt_action_write(rmt_records_t *actions, const char *path, const char *what,
                      unsigned mode, const void *content, size_t size);
// Other contents of a file of the tree, which keeps its owner and mode; path has no
// symlink in it. 0, or -1: DISK, IO.
int rmt_action_edit(int root_fd, rmt_records_t *actions, const char *path,
                    const char *what, const void *content, size_t size,
                    rmt_error_t *error);
void rmt_action_link(rmt_records_t *actions, const char *path, const char *what,
                     const char *target);
void rmt_action_remove(rmt_records_t *actions, const char *path, const char *what);
void rmt_action_move(rmt_records_t *actions, const char *path, const char *what,
                     const char *from);
void rmt_action_remove_folder(rmt_records_t *actions, const char *path, const char *what);
