// rmt_name_plan - the name of the image's machine is replaced by that of the copy, in
// every place of a table by the grammar of its file. Private to lib/system.
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"
#include "facts/rmt_network.h"

// Append the actions for the tree under root_fd. What only mentions the name is not
// changed; rmt_mention finds it. 0, or -1: TOO_BIG, DISK, IO.
int rmt_name_plan(int root_fd, const rmt_network_t *network, rmt_records_t *actions,
                  rmt_error_t *error);
