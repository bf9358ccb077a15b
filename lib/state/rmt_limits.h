// rmt_limits - numbers that the function library shares with the broker.
//
// The library is built with each line "#define RMT_X n" as L.X, and with the codes of
// base/rmt_error.h as E, so a number stands in one place.
#pragma once

#define RMT_PRESENT_MS 15000 // A peer that was heard of within this is present
#define RMT_READY_MAX 200    // Targets that job_view lists as those that can begin
