// rmt_identity - identities that no two computers share. Private to lib/system.
#pragma once

#include <stdbool.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Append the actions that take the image's identities away and put new ones in:
// machine-id, SSH host keys, random seeds, DHCP leases, persistent device names. Without
// has_keys the files of SSH host keys are empty, and no program is run.
// 0, or -1: NOT_FOUND (no ssh-keygen), IO, or what rmt_rooted_load says.
int rmt_identity_plan(int root_fd, const char *hostname, bool is_systemd, bool has_keys,
                      rmt_records_t *actions, rmt_error_t *error);

// The same for a tree that a system would mount at `mount`, such as /var: its seeds and
// ids, without keys of SSH. 0, or -1: what rmt_rooted_load says.
int rmt_identity_plan_part(int root_fd, const char *mount, rmt_records_t *actions,
                           rmt_error_t *error);
