// rmt_process - run a program and wait for it. Never a shell.
#pragma once

#include <stddef.h>
#include "rmt_error.h"

// Run arguments[0] (looked up in PATH) with a NULL-terminated argument list, with
// standard input from input (may be NULL) and descriptors above 2 closed but those
// without O_CLOEXEC. Its standard output and error are collected, at most 64 KiB.
// Caller owns *output_out (free), which may be NULL for "not wanted".
// Blocks until it ends. Returns 0 when it exits with 0, or -1: NOT_FOUND (no such
// program), IO (the text holds its name, exit status and last output line).
int rmt_process_run(const char *const *arguments, const char *input, char **output_out,
                    rmt_error_t *error);
