// rmt_stable_read - deciding whether the bytes read from a file are one state of it. For
// rmt_capture_item alone.
//
// The same status before and after is not enough. A write within the tick of the kernel's
// clock in which the file was last changed leaves no other time; and a write() sets the
// time when it begins, so one that is under way looks old. So times must be older than
// the reading, and a file that changed lately must be open for writing by no process, or
// have been left alone for a while. What stays unseen: a single write() that has been
// under way for longer than that while. A tree that stands still is believed without
// that.
#pragma once

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

typedef struct {
    bool is_still; // The file is in a snapshot: set before the first call
    struct timespec start;
    bool is_busy; // Changed lately, and perhaps open for writing when the reading began
} rmt_stable_read_t;

// Call before the first byte is read. before: status of fd from now or earlier.
void rmt_stable_read_begin(rmt_stable_read_t *self, int fd, const struct stat *before);
// after: status of fd, after the last byte was read.
bool rmt_stable_read_is_one(const rmt_stable_read_t *self, const struct stat *before,
                            const struct stat *after);
