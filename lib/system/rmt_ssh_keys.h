// rmt_ssh_keys - the host keys of a copy, in place of the image's. Private to lib/system.
//
// Keys of OpenSSH lie where its settings name them (rmt_sshd_config) and in /etc/ssh;
// those of dropbear and tinyssh in their own folders and forms.
#pragma once

#include <stdbool.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Append the actions: a new key of the same kind for each that the image has, all kinds
// where it has sshd and no key; keys of other kinds go. Without has_keys the new files
// are empty, and no program is run. 0, or -1: NOT_FOUND (no ssh-keygen), IO, or what
// rmt_rooted_load says.
int rmt_ssh_keys_plan(int root_fd, const char *hostname, bool has_keys,
                      rmt_records_t *actions, rmt_error_t *error);
