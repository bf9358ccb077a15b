// refuse - a kernel that refuses a system call, for the error paths that a user meets on
// a full or broken disk, or as a user with too few rights.
//
// The calls are refused by a seccomp filter, so whatever is called is the real program
// over the real libraries. A filter stays for good: the act runs in a child, and what was
// built up before it is built up in the test. The child may start programs; they are
// refused the same. The end of the child is not: it saves counts of coverage.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/rmt_error.h"

// One call that ends with an errno. With a mask only where the low 32 bits of an
// argument, under the mask, are the value: a descriptor, flags, the code of an ioctl.
typedef struct {
    long call; // SYS_...
    int code;  // errno
    unsigned argument;
    uint32_t mask, value;
} refusal_t;

// Returns what the act returns, with its error.
int refuse_in_child(const refusal_t *rows, size_t count,
                    int (*act)(void *context, rmt_error_t *error), void *context,
                    rmt_error_t *error);
