// firstboot - the report of a freshly installed system that it is up.
//
// Runs the scripts in the order of their names, each once whatever happens, waits until
// the boot has settled, looks what failed, and asks a broker to confirm until one has
// answered. Then the key, which was made for this boot alone, the agent and what starts
// it are removed.
#pragma once

#include "base/rmt_config.h"
#include "base/rmt_error.h"

extern const rmt_config_row_t RMT_FIRSTBOOT_ROWS[];

// Blocks until a broker has answered or a signal came. Returns 0, also where this boot is
// no longer awaited; or -1: CONFIG, IO, LOCKED (it runs already), CANCELLED, or the code
// of a broker that refused.
int rmt_firstboot_run(const rmt_config_t *config, rmt_error_t *error);
