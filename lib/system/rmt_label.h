// rmt_label - the SELinux labels of what ramet makes in a tree, by the tree's own rules.
// Private to lib/system.
//
// The rules are those of file_contexts(5): libselinux reads them from the tree's text,
// and nothing of the running system's policy is asked. The compiled form beside them is
// not read, as another version of PCRE may have made it.
#pragma once

#include <sys/types.h>
#include "base/rmt_auto.h"
#include "base/rmt_error.h"
#include "base/rmt_record.h"

typedef struct rmt_label rmt_label_t;

// Plan that the copy labels all its files itself at its first start, where it has a
// policy and no rules that can be read. 0, or -1: what rmt_rooted_load says.
int rmt_label_plan(int root_fd, rmt_records_t *actions, rmt_error_t *error);

// Read the rules. Caller owns *label_out, which is NULL for a tree without a policy, and
// for one without rules in their form. 0, or -1: what rmt_rooted_load says, IO.
int rmt_label_new(int root_fd, rmt_label_t **label_out, rmt_error_t *error);
void rmt_label_destroy(rmt_label_t **self_p);

// The label of a path of this kind (S_IFREG, S_IFDIR, S_IFLNK), or NULL where the rules
// give it none. Caller owns it (free).
char *rmt_label_find(const rmt_label_t *self, const char *path, mode_t kind);
