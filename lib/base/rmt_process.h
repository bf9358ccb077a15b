// rmt_process - run a program and wait for it, never a shell; and what this process keeps
// to itself.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"

// Run arguments[0] (looked up in PATH) with a NULL-terminated argument list, with
// standard input from input (may be NULL) and descriptors above 2 closed but those
// without O_CLOEXEC. Its standard output and error are collected, at most 64 KiB.
// Caller owns *output_out (free), which may be NULL for "not wanted".
// Blocks until it ends. Returns 0 when it exits with 0, or -1: NOT_FOUND (no such
// program), IO (the text holds its name, also behind env, its exit status, and the last
// lines of its output but its version and usage).
int rmt_process_run(const char *const *arguments, const char *input, char **output_out,
                    rmt_error_t *error);

// The same for a program whose work is a disk, without input; its messages are in
// English. Also -1: DISK, when it could be run and says "Input/output error".
int rmt_process_run_on_disk(const char *const *arguments, rmt_error_t *error);

// A program that may do what it likes, within a time. Borrowed.
typedef struct {
    const char *const *arguments;   // As above
    const char *const *environment; // NULL-terminated, "NAME=value"; NULL: as here
    uint32_t timeout_ms;            // 0: none
    size_t output_max;              // Bytes of output that are kept; 0: 64 KiB
} rmt_process_t;

typedef struct {
    int status;       // Exit status; -1 when a signal ended it
    int signal;       // Which one; 0 for none
    bool is_timeout;  // It was ended because its time was over
    uint32_t time_ms; // How long it ran
    char *output;     // Its output and errors, from the start (free)
    char *tail;       // The last kilobyte of them (free)
} rmt_process_end_t;

// Run a program in a process group of its own, in folder /, with no input, and tell how
// it ended. When its time is over the group gets SIGTERM, five seconds later SIGKILL.
// What it leaves running in the background is not waited for.
// Returns 0 however it ended, or -1: NOT_FOUND (no such program), IO.
int rmt_process_try(const rmt_process_t *process, rmt_process_end_t *end_out,
                    rmt_error_t *error);
void rmt_process_end_clear(rmt_process_end_t *end);

// The memory of this process holds keys: it leaves no core file, and only root may look
// into it. Programs that it starts inherit nothing of it but the soft limit of core
// files. Builds with a sanitizer, which looks into its own process, stay open.
void rmt_process_keep_secrets(void);

// Let this process open as many files as it may at most: a source holds each of its
// volumes open.
void rmt_process_open_many(void);

// Is this such a build?
bool rmt_process_is_sanitized(void);
