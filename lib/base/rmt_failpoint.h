// rmt_failpoint - named places where a test makes the program fail or stop.
//
//     if (RMT_FAILPOINT("store.commit.rename") == -1 || rename(old, new) == -1)
//         return rmt_fail_errno(error, "publish %s", new);
//     (void) RMT_FAILPOINT("worker.result.sent");
//
// Only builds with the CMake option RAMET_FAILPOINTS have them. In every other build
// RMT_FAILPOINT is the number 0, and neither the name nor this module is in the program.
//
// A point does nothing until a plan arms it. A plan is a list with commas between:
//
//     NAME=ACTION[@N]        N: only the Nth time that the program comes by, from 1
//
//     error:ERRNO   RMT_FAILPOINT gives -1 and sets errno, such as error:ENOSPC
//     crash         the program kills itself with SIGKILL
//     stop          the program stops itself with SIGSTOP, until a SIGCONT
//     delay:MS      the thread waits so many milliseconds
//
// The environment variable RAMET_FAILPOINT holds the plan of a program; a wrong plan
// aborts it. An armed point that acts says so on stderr first: "failpoint NAME ACTION".
// docs/testing.md lists all points.
#pragma once

#ifdef RAMET_FAILPOINTS

#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"

// The section holds the name of each point that is linked into the program.
#define RMT_FAILPOINT(text)                                                              \
    ({                                                                                   \
        static const char *const point_                                                  \
            __attribute__((section("rmt_failpoints"), used)) = (text);                   \
        rmt_failpoint_pass(point_);                                                      \
    })

// Come by a point, from any thread. Returns 0, or -1 with errno set.
int rmt_failpoint_pass(const char *name);

// Replace the plan; NULL or "" disarms all points. For tests.
// 0, or -1: USAGE; NOT_FOUND when this program has no point of that name.
int rmt_failpoint_arm(const char *plan, rmt_error_t *error);

// How many points of the plan have acted since it was armed. For tests.
uint64_t rmt_failpoint_acted(void);

// The names of this program's points; a name may be there more than once. For tests.
const char *const *rmt_failpoint_names(size_t *count_out);

#else

#define RMT_FAILPOINT(text) 0

#endif
