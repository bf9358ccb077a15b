// rmt_error - how anything that can fail says so.
//
// A fallible function returns int 0 or -1 (or NULL) and takes an rmt_error_t
// last: never NULL, owned by the caller, of fixed size, nothing to free. The
// outputs of a function are set only when it succeeds. Misuse of our own
// interfaces is an assert; memory that runs out aborts.
//
// A code crosses the wire as its number, which never gets another meaning
// (docs/spec/1-wire.md, 11 Codes).
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    RMT_E_OK = 0,
    RMT_E_USAGE = 1,         // The words of a request are wrong
    RMT_E_NOT_FOUND = 2,     // Names something that does not exist
    RMT_E_EXISTS = 3,        // Would make something twice
    RMT_E_REFUSED = 4,       // Understood, and against a rule of the system
    RMT_E_LOCKED = 5,        // Another owner's lock is in the way
    RMT_E_NOT_ALLOWED = 6,   // The role of this key may not do that
    RMT_E_FENCED = 7,        // The attempt, epoch or era is no longer the current one
    RMT_E_CORRUPT = 8,       // Bytes are not what their name says
    RMT_E_PROTOCOL = 9,      // A peer sent what the grammar does not allow
    RMT_E_TOO_BIG = 10,      // Over a stated limit
    RMT_E_NO_SPACE = 11,     // A disk or file system is full or too small
    RMT_E_IO = 12,           // The operating system refused or failed
    RMT_E_TIMEOUT = 13,      // Did not end in its time
    RMT_E_UNAVAILABLE = 14,  // No peer answers; try again later
    RMT_E_CANCELLED = 15,    // Was asked to stop
    RMT_E_INCOMPATIBLE = 16, // Hardware, firmware or sizes do not fit
    RMT_E_UNSUPPORTED = 17,  // Known, and not supported by this version
    RMT_E_CONFIG = 18,       // A configuration or key file is wrong
    RMT_E_INTERNAL = 19,     // ramet broke a promise of its own
    RMT_E_BUSY = 20,         // Too much at once; nothing was done, ask again in a moment
    RMT_E_DISK = 21,         // A disk fails, or lets nothing be written
    RMT_CODE_COUNT
} rmt_code_t;

typedef struct rmt_error {
    rmt_code_t code;
    char text[512]; // One line, for a person: what, where, why
} rmt_error_t;

// Set code and text. Returns -1 always, so that failing is one line.
int rmt_fail(rmt_error_t *error, rmt_code_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Exchange each `from` in the text of an error for `to`, such as a device that was made
// for a while for what it stands for. Returns -1 always.
int rmt_rename(rmt_error_t *error, const char *from, const char *to);

// Like rmt_fail with a code made from errno, whose text is appended:
// ENOENT NOT_FOUND, EEXIST EXISTS, ENOSPC/EDQUOT NO_SPACE, DISK for what a broken or
// read-only disk gives (EIO, EREMOTEIO, EUCLEAN, EROFS), else IO.
int rmt_fail_errno(rmt_error_t *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// The code alone.
rmt_code_t rmt_code_of_errno(int number);

// Put "context: " before the text of an error that is already set, and keep
// its code. Returns -1 always.
int rmt_wrap(rmt_error_t *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Stable lower-case name of a code, such as "not-found"; "unknown" for others.
const char *rmt_code_name(rmt_code_t code);

// Turn a number from the wire into a code; unknown numbers are RMT_E_INTERNAL.
rmt_code_t rmt_code_from(uint32_t number);

// The exit status a program gives for this code (docs/operating.md; sysexits(3)).
int rmt_code_exit(rmt_code_t code);
