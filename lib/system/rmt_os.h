// rmt_os - which operating system a tree holds.
//
//   class=os {family linux|other, distribution, version, name, kernels,
//             package-system dpkg|rpm|none, packages, init
//             systemd|openrc|runit|busybox|sysv| none, or the name of a program that is
//             not known, network-stack netplan|networkmanager|networkd|ifupdown|none, or
//             one that is not supported: wicked|connman|ifcfg}
//   class=config {path, files}      one for each known place of configuration
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Look at a mounted tree, of which nothing is run. A tree without a system that a
// handler knows is family=other. Caller owns *records_out.
// 0, or -1: UNSUPPORTED (a system that is known and not supported, by name), or what
// rmt_rooted_load says.
int rmt_os_examine(int root_fd, rmt_records_t **records_out, rmt_error_t *error);
