// rmt_network_plan - a target's settings told to the network stack of a tree.
// Private to lib/system.
#pragma once

#include "facts/rmt_network.h"
#include "base/rmt_record.h"

// Whether these settings can be told to a stack of this name. is_by_name: it knows
// interfaces by name alone.
// 0, or -1: UNSUPPORTED (a stack that is not supported; an address is wanted and there is
// no stack), USAGE (the stack needs a name of the interface).
int rmt_network_check(const rmt_network_t *network, const char *stack, bool is_by_name,
                      rmt_error_t *error);

// Append the actions that set the network of the tree under root_fd in the words of the
// stack in force there, switch the other stacks and cloud-init off for it, and take
// settings of the image's own machine away. 0, or -1: as rmt_network_check, or what
// rmt_rooted_load says.
int rmt_network_plan(int root_fd, const rmt_network_t *network, rmt_records_t *actions,
                     rmt_error_t *error);
