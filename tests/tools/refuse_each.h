// refuse_each - an act whose system calls are refused one after the other: the first in
// one child, the second in the next one, until the act makes no more calls. So each line
// that asks the kernel is seen when the kernel says no, whatever it asks.
//
// A filter of seccomp asks a thread of the child, which counts. Calls of programs that
// the act starts are counted too, unless only_own is set.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/rmt_error.h"

// What became of one try. Without a refusal the act came to its end before the call.
typedef struct {
    size_t number; // Which call was refused, from 1
    long call;     // SYS_..., -1 when none was refused
    int result;    // Of the act: 0, or -1 with its error
    rmt_error_t error;
} refused_t;

typedef struct {
    const long *calls; // SYS_..., up to 48
    size_t count;
    int code; // errno
    bool only_own;
    size_t step; // Of an act with very many calls: only each so many-th; 0 is 1
    int (*act)(void *context, rmt_error_t *error);     // In the child
    void (*before)(void *context);                     // In the test; may be NULL
    void (*after)(void *context, const refused_t *by); // Likewise
    void *context;
} refuse_each_t;

// Fails the test when a child dies, when an act fails without a text, and when it fails
// although nothing is refused. Returns the number of the last call that was refused.
size_t refuse_each(const refuse_each_t *each);

// For `after`, where the code is EIO: an act that failed says so, and not something else.
void refuse_each_assert_told(void *context, const refused_t *by);

// The calls by which files are found, read and written, and devices asked.
extern const long refuse_each_files[];
extern const size_t refuse_each_files_count;
