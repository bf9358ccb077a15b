// health - what a system that has just booted says about itself.
#pragma once

#include "rmt_record.h"

// Run the scripts in folder (files whose names begin with two digits), in the order of
// their names; stop at none. Sets `scripts-failed` in report to the names and reasons of
// those that failed.
void rmt_health_run_scripts(const char *folder, rmt_record_t *report);

// Set boot, failed-units, addresses and, when something is wrong, degraded in report.
// Without systemd running the units are `unknown` and the addresses `not checked`.
void rmt_health_collect(rmt_record_t *report);
