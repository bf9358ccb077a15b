// rmt_auto - scope ownership for every class with a CLASS destructor.
//
//     rmt_auto(zmsg) msg = zmsg_new();      // zmsg_destroy(&msg) at scope's end
//     return rmt_take(&msg);                // hands it out instead
//
// A goto must not jump over such a variable's declaration.
#pragma once

#include <stdlib.h>
#include <unistd.h>

// "unused": a variable may be there for its destruction alone.
#define rmt_auto(class) __attribute__((cleanup(class##_destroy), unused)) class##_t *

static inline void
rmt_auto_free_string(char **string)
{
    free(*string);
}

static inline void
rmt_auto_free_bytes(void **bytes)
{
    free(*bytes);
}

static inline void
rmt_auto_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

// A malloc'ed string, malloc'ed bytes, a file descriptor (-1 = none).
#define rmt_auto_str __attribute__((cleanup(rmt_auto_free_string))) char *
#define rmt_auto_ptr __attribute__((cleanup(rmt_auto_free_bytes))) void *
#define rmt_auto_fd __attribute__((cleanup(rmt_auto_close))) int

// Move a pointer out of its variable, which becomes NULL.
#define rmt_take(pointer_to_variable)                                                    \
    ({                                                                                   \
        __typeof__(*(pointer_to_variable)) taken_ = *(pointer_to_variable);              \
        *(pointer_to_variable) = NULL;                                                   \
        taken_;                                                                          \
    })

// Move a descriptor out of its variable, which becomes -1.
static inline int
rmt_take_fd(int *fd)
{
    const int taken = *fd;
    *fd = -1;
    return taken;
}
