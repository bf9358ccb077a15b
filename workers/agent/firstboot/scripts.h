// scripts - the scripts of a first boot: each runs once, whatever happens in between.
//
// Before a script starts a mark is made, and after it its outcome is kept, both durable.
// A script that has a mark and no outcome was under way when the machine went down; it is
// not run again but reported as interrupted.
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"

typedef struct {
    const char *folder; // The scripts, NN-name
    const char *table;  // File of lines "NN-name seconds"; may be missing
    const char *state;  // Folder of marks and outcomes
    const char *log;    // Folder that gets NAME.log, the whole output; "" for none
    const char *target, *image; // Told to scripts as RAMET_TARGET and RAMET_IMAGE
} rmt_scripts_t;

#define RMT_SCRIPTS_TIMEOUT_S 600 // Where the table says nothing else

// Run what has not run yet, in the order of the names, and tell the outcome of all:
// records {script, exit (status, or "-"), end ("ended with status 3", "ended by signal
// 9", "was ended after 600 s", "was interrupted by a restart", "could not be run: ..."),
// seconds, output (the last lines)}. A failure stops none of the others. Blocks as long
// as they take. Caller owns the result. NULL: IO (what has run could not be kept).
rmt_records_t *rmt_scripts_run(const rmt_scripts_t *scripts, rmt_error_t *error);
