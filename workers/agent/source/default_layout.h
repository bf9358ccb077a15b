// default_layout - the disk of a tree without a description: GPT, one ext4 root of
// tree x 1.3 + 256 MiB. Its identifiers are made from the source's name, so that the
// same tree gives the same image.
#pragma once

#include "facts/rmt_layout.h"

// uuid: of the root file system, or NULL. Caller owns the result: a disk, a partition
// and a volume, without sizes.
rmt_layout_t *rmt_default_layout_new(const char *name, const char *uuid);

// Set sizes; the volume has files and bytes of its tree.
void rmt_default_layout_settle(rmt_layout_t *layout);
