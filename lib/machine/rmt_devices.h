// rmt_devices - the disk, pci, nic and usb part of an inventory; lib/machine only.
#pragma once

#include "rmt_record.h"

// Append records of class disk, pci, nic and usb found in sys/ below root.
void rmt_devices_read(const char *root, rmt_records_t *records);
