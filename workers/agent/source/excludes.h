// excludes - what is left out of one volume: what the user named, what is this agent's
// own, and the folders where other volumes of the same tree begin.
#pragma once

#include "base/rmt_config.h"
#include "base/rmt_record.h"
#include "facts/rmt_layout.h"

typedef struct rmt_excludes rmt_excludes_t;

// words: globs of the user, one a line, against paths from the root of the system; rules:
// of the profiles (profile.h);
// layout: of one tree that stands for several volumes, those with mount points are the
// borders of one that is mounted at mount.
// Caller owns the result.
rmt_excludes_t *rmt_excludes_new(const rmt_config_t *config, const char *words,
                                 const rmt_records_t *rules, const rmt_layout_t *layout,
                                 const char *mount);
// Leave the swap files of a volume out: they are made again on each copy.
void rmt_excludes_add_swaps(rmt_excludes_t *self, const rmt_layout_t *layout,
                            const rmt_layout_volume_t *volume);
// What of that an image tells of itself: class=leave {path, what}, in the same words; the
// user's first, the swap files of mounted volumes last. Caller owns the result.
rmt_records_t *rmt_excludes_told(const char *words, const rmt_records_t *rules,
                                 const rmt_layout_t *layout);
void rmt_excludes_destroy(rmt_excludes_t **self_p);

// NULL-terminated globs from the root of the volume, valid while self lives.
const char *const *rmt_excludes_list(const rmt_excludes_t *self);
