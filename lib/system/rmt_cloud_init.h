// rmt_cloud_init - a copy is no new instance of a cloud: its accounts and keys are those
// of the image, or ramet's. Private to lib/system.
#pragma once

#include <stdbool.h>
#include "base/rmt_record.h"

// Append the actions for a tree that has cloud-init; nothing for one that has not. It
// does not run again, or is_new: it runs as on a new instance, with the sources of data
// of the image, and leaves network and name alone. Called behind the plan of the network.
void rmt_cloud_init_plan(int root_fd, bool is_new, rmt_records_t *actions);
