// rmt_devices - the parts of an inventory, one function a kind of thing; lib/machine
// only.
//
// Each appends what it finds in sys/ and proc/ below root, "" for this computer.
// Fields: docs/spec/3-facts.md, "Hardware".
#pragma once

#include "base/rmt_record.h"
#include "base/rmt_sysfs.h"

void rmt_dmi_read(const char *root, const char *arch, rmt_records_t *records); // system
void rmt_cpu_read(char *cpuinfo, const char *arch, rmt_records_t *records);    // cpu
void rmt_block_read(const char *root, rmt_records_t *records);                 // disk
void rmt_pci_read(const char *root, rmt_records_t *records);                   // pci
void rmt_nic_read(const char *root, rmt_records_t *records);                   // nic
void rmt_usb_read(const char *root, rmt_records_t *records);                   // usb

// The last PCI address in a sysfs path, such as 0000:00:1f.2 or, behind a volume
// management device, 10000:e1:00.0; "" for none.
#define RMT_PCI_SLOT_SIZE 24
void rmt_pci_slot(const char *path, char slot[RMT_PCI_SLOT_SIZE]);

// What must have a driver between a device and the root of the buses: set "modaliases" to
// those of the device at this real path and of the ones above it that have a driver
// bound, with spaces between, nearest first, and "modules" to what drives each here.
// Bridges and names of the firmware are left out, as kernels have their drivers built in.
void rmt_pci_set_chain(rmt_record_t *record, const char *path);
