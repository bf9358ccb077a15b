// netboot - the files that the machines of an engine find when they netboot.
//
// The file MAC.ipxe (as in 52-54-00-12-34-56.ipxe) in the boot folder sends its machine
// to its own disk; a machine without a file gets the thin-kernel. Which disk that is,
// among several with something to start on them, the GUID of a partition tells, for
// firmware has no names for disks. Each file has era and epoch of its order, and a
// late caller with lower ones changes nothing. A machine of which no MAC is
// known always gets the thin-kernel. Calls for one target may run at once; each file is
// complete or absent at any moment.
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"
#include "facts/rmt_layout.h"

#include <stdint.h>

typedef struct {
    const char *folder;            // Made when it is missing
    const char *target;            // Name, for people
    const rmt_records_t *hardware; // Its interfaces (class nic) are what boots
    const char *macs;              // More of them, with spaces or commas between; or ""
    uint32_t era;
    uint64_t epoch;
    const rmt_layout_t *layout; // Of the image; NULL or no GUIDs in it: the first disk
} rmt_netboot_t;

// Send the machine to its own disk from now on. 0, or -1: IO, NO_SPACE.
int rmt_netboot_disk(const rmt_netboot_t *self, rmt_error_t *error);

// Send the machine to the thin-kernel from now on. 0, or -1: IO.
int rmt_netboot_installer(const rmt_netboot_t *self, rmt_error_t *error);
