// rmt_names - the names in a folder, in the order of their bytes, each with a mark. For
// rmt_converge alone.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "base/rmt_error.h"

typedef struct {
    char *text;
    bool is_marked;
} rmt_name_t;

typedef struct {
    rmt_name_t *items;
    size_t count, room;
} rmt_names_t;

// Read all names of an open folder. 0, or -1: IO; free it in any case.
int rmt_names_read(rmt_names_t *self, int folder_fd, rmt_error_t *error);
void rmt_names_free(rmt_names_t *self);
// Mark a name, if it is there.
void rmt_names_mark(rmt_names_t *self, const char *name);

// Remove a name that is no folder or, with from, give its place to that other name of the
// folder. Flags that forbid it are taken away, and come back where the inode has further
// names. 0, or -1: IO.
int rmt_names_drop(int folder_fd, const char *name, const char *from, rmt_error_t *error);
