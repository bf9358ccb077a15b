// screen - what a bare machine shows to a person in front of it.
//
// A virtual terminal shows one picture that is drawn anew; every other console, which
// may be a serial line with a log behind it, gets a line for each change. Nothing is
// waited for: what a console does not take at once is lost. One thread uses it.
#pragma once

#include <stdint.h>
#include "base/rmt_error.h"

typedef struct rmt_screen rmt_screen_t;

typedef enum {
    RMT_SCREEN_NAME,    // Of this target
    RMT_SCREEN_MACHINE, // What it is
    RMT_SCREEN_ADDRESSES,
    RMT_SCREEN_BROKER,
    RMT_SCREEN_DOING,   // "waiting for orders"
    RMT_SCREEN_TROUBLE, // Last error
    RMT_SCREEN_ADVICE,  // What to do about it
    RMT_SCREEN_FIELD_COUNT
} rmt_screen_field_t;

// For the devices named, NULL-terminated ("/dev/tty0"); one that cannot be opened is left
// out. Caller owns the result.
rmt_screen_t *rmt_screen_new(const char *const *devices);
void rmt_screen_destroy(rmt_screen_t **self_p);

// Change a field; NULL or "" empties it. It shows at rmt_screen_show.
void rmt_screen_set(rmt_screen_t *self, rmt_screen_field_t field, const char *text);
// How far the work is; total 0: not known, or no work.
void rmt_screen_set_progress(rmt_screen_t *self, uint64_t done, uint64_t total);
// Trouble with the advice that belongs to the error's code; code OK: no trouble.
void rmt_screen_set_trouble(rmt_screen_t *self, const rmt_error_t *error);

// Show what has changed; cheap when nothing has.
void rmt_screen_show(rmt_screen_t *self);

// The devices of the kernel's consoles, by the list in the file ("tty0 ttyS0"); for the
// virtual terminals it is the first.
// Caller owns the array and its texts, as one block (free).
char **rmt_screen_consoles(const char *path);
