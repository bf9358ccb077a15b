// bare - the agent of a machine that runs nothing else: a target in the thin-kernel.
//
// Its settings are on the kernel's command line (cmdline.h). It waits for an address,
// makes a key for this boot, enrols it, and offers the services of a target; whatever
// fails is shown on the consoles (screen.h) and tried again. Nothing but an order writes.
#pragma once

#include <stdbool.h>
#include "base/rmt_config.h"
#include "base/rmt_error.h"

extern const rmt_config_row_t RMT_BARE_ROWS[];

// Run until a system is written, which is booted next, or until a signal.
// Borrows config. 0 with *reboot_out, or -1: IO (signals).
int rmt_bare_run(const rmt_config_t *config, bool *reboot_out, rmt_error_t *error);
