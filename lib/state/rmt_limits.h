// rmt_limits - numbers that the function library shares with the broker.
//
// The library is built with each line "#define RMT_X n" as L.X, and with the codes of
// base/rmt_error.h as E, so a number stands in one place.
#pragma once

#define RMT_CLOCK_STEP_MS 3000 // The farm's clock is kept when it has gone on so far
#define RMT_PRESENT_MS 15000   // A peer that was heard of within this is present
#define RMT_PHASES_MAX 100     // Recorded of one attempt of a task
#define RMT_READY_MAX 200      // Targets that job_view lists as those that can begin
#define RMT_LOG_MAX 2048       // Bytes that are kept of a worker's log with a failure
#define RMT_LARGE_TARGETS 25   // A job over more targets is large,
#define RMT_LARGE_PART 5       // so is one over more than this part of the farm,
#define RMT_LARGE_FARM 10      // if the farm has as many targets
#define RMT_POWER_MAX 1000     // Machines of one request to switch their power
#define RMT_ANSWERS_KEPT 10000 // To requests of one key that may come again
#define RMT_AUDIT_KEPT 100000  // Entries that the stream keeps beside the files
#define RMT_AUDIT_WAITING_MAX 200000 // Entries in no file, and no new job is made
