// rmt_drivers - the drivers of a kernel, from the files that rmt_kernel gave. The door
// to libkmod. It neither reads nor changes the computer it runs on. One thread.
#pragma once

#include <stddef.h>
#include "base/rmt_error.h"
#include "match/rmt_match.h"

typedef struct rmt_drivers rmt_drivers_t;

// version: of the kernel, for people. has_initramfs: the list of what it holds will be
// added, or it holds nothing; false when ramet could not read it, so that each module
// counts as one that it holds. Makes a folder of its own for files below TMPDIR or /tmp.
// Caller owns the result. NULL: IO.
rmt_drivers_t *rmt_drivers_new(const char *version, bool has_initramfs,
                               rmt_error_t *error);
void rmt_drivers_destroy(rmt_drivers_t **self_p);

// Add a file under the name that rmt_kernel gave it under; other names are left out.
// 0, or -1: CORRUPT, UNSUPPORTED (its form), IO.
int rmt_drivers_add(rmt_drivers_t *self, const char *name, const void *data, size_t size,
                    rmt_error_t *error);

// After the last file. 0, or -1: IO (what libkmod says).
int rmt_drivers_open(rmt_drivers_t *self, rmt_error_t *error);

// For rmt_match_drivers_t, with a rmt_drivers_t as context. A name is asked of the lists
// once; the answer is kept. "program:NAME" is of a program in the initramfs: EARLY, or
// NOT.
rmt_served_t rmt_drivers_find(void *self, const char *name, const char *known,
                              const char **module_out);

// "6.1.0-28-amd64", with a word on an initramfs that ramet could not read.
const char *rmt_drivers_kernel(const rmt_drivers_t *self);
