// rmt_sshd_config - the files that the settings of an SSH server name. Private to
// lib/system.
//
// Read are /etc/ssh/sshd_config*, in SUSE's way also below /usr/etc, what their Include
// lines name, and what the options -f, -h and -o of the service name.
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Append a record for each line that names one: class=host-key, host-certificate or
// host-key-agent {path, file, line}; the first of each path alone. Nothing is run.
// 0, or -1: TOO_BIG (a file), DISK, IO.
int rmt_sshd_config_read(int root_fd, rmt_records_t *found, rmt_error_t *error);
