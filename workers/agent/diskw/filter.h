// filter - the system calls that the writer and the programs that it starts may make
// (seccomp).
//
// A call that no stage names is answered with "operation not permitted", is remembered,
// and ends the session (rmt_filter_check); in a program that the writer has started it
// ends the program with SIGSYS. A named call with arguments that the stage does not
// allow, such as a mount that keeps device nodes usable, gets that answer alone, and so
// does a socket, which libraries try for the names of users.
//
// A stage cannot be left: what the process gave away does not come back. The two stages
// of a parser (parser.h) have a list of their own, which is shorter.
#pragma once

#include "base/rmt_error.h"

typedef enum {
    RMT_FILTER_START, // Also a mount namespace, and a /dev in it
    RMT_FILTER_WRITE, // Mount what was made, and start programs
    RMT_FILTER_TOOL,  // Neither mount nor unmount
    // Of a parser: no program, no mount, no memory that is both new and run
    RMT_FILTER_UNPACK, // Make a tree
    RMT_FILTER_VERIFY, // Read one
} rmt_filter_stage_t;

// Let this process make the calls of a stage and no others from now on. Only while it has
// one thread, and after rmt_harden. 0, or -1: IO (a kernel without seccomp).
int rmt_filter_enter(rmt_filter_stage_t stage, rmt_error_t *error);

// What rmt_filter_run runs: 0, or -1 with the error set.
typedef int(rmt_filter_fn)(void *context, rmt_error_t *error);

// Run a function in a thread at stage TOOL, and wait for it; programs that it starts stay
// at that stage for good. 0, or -1: what the function or the stage says.
int rmt_filter_run(rmt_filter_fn *function, void *context, rmt_error_t *error);

// Was a call refused that no stage names? 0, or -1: REFUSED (names the call; phase is
// what the writer was doing).
int rmt_filter_check(const char *phase, rmt_error_t *error);
