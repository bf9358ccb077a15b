// rmt_child - how a child of a test ends: at once, without the buffers and handlers of
// the test that it was forked from. A build that counts coverage keeps the child's
// counts.
#pragma once

#include <unistd.h>

// libgcov's; not there in other builds.
extern void __gcov_dump(void) __attribute__((weak));

__attribute__((noreturn)) static inline void
rmt_child_end(int status)
{
    if (__gcov_dump)
        __gcov_dump();
    _exit(status);
}
