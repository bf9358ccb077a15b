// health - failed units and addresses of a system that has just booted.
#pragma once

#include "base/rmt_record.h"

// Wait until the boot has settled and these addresses are up, at most wait_s each; then
// set boot, failed-units, addresses, missing-addresses (of `wanted`, NULL-terminated)
// and, when something is wrong, degraded in report. Without systemd running the units are
// `unknown`; in a chroot the addresses are `not checked`, as they are another machine's.
void rmt_health_collect(const char *const *wanted, unsigned wait_s, rmt_record_t *report);
