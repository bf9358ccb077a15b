// rmt_boot_names - kernels and boot entries that are named by the machine's id. Private
// to lib/system.
//
// kernel-install(8) and the scripts of grub2 name what they make by the machine's id
// where /etc/kernel/entry-token says nothing else: entries
// loader/entries/ID-VERSION.conf, folders ID/VERSION of kernels, rescue kernels. Under
// the id of another machine they start, but no update of the copy would ever remove them.
// So they get the copy's id, and so do the settings that name them; the contents of
// /etc/machine-id are planned before this.
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Append the changes to what boot loaders read: names by the machine's id, and of GRUB's
// environment what tells of single starts of the source. Unified kernel images keep their
// names, by which firmware may start them, and /etc/kernel/entry-token then keeps the
// name. 0, or -1: what rmt_rooted_load says.
int rmt_boot_names_plan(int root_fd, rmt_records_t *actions, rmt_error_t *error);
