// rmt_unit - which services a tree starts, told by the links that enable them: systemd's
// *.wants, the rc folders of System V, the levels of OpenRC and runit. Private to
// lib/system.
#pragma once

#include <stdbool.h>
#include "base/rmt_record.h"

// Whether a service starts by itself; `name` without ".service". A masked one does not.
bool rmt_unit_is_enabled(int root_fd, const char *name);

// Append the removal of the links by which systemd, OpenRC or runit would start this
// unit; `unit` with its suffix.
void rmt_unit_disable(int root_fd, const char *unit, rmt_records_t *actions);
