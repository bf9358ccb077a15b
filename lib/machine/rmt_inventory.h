// rmt_inventory - the hardware of this computer, as records.
//
// Read from sysfs, DMI and /proc without any daemon. A fact that the system does
// not tell has no field. Classes and fields: docs/spec/3-facts.md.
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Caller owns the result. Blocks for some file reads. NULL: IO (no /proc or /sys).
rmt_records_t *rmt_inventory_read(rmt_error_t *error);

// The same with sys/ and proc/ below the folder root; for tests.
rmt_records_t *rmt_inventory_read_at(const char *root, rmt_error_t *error);

// Why there is nothing to install on, in words for people: no disk at all, and the
// storage controllers that no driver has taken, which are the likely reason. Caller owns
// the text (free); NULL when the records tell a disk.
char *rmt_inventory_no_disk(const rmt_records_t *records);

// Who a machine is: "uuid:" and the system UUID, else "board:" and the board's
// serial, else "mac:" and the permanent MACs sorted with commas between them.
// What makers leave as placeholders does not count. Caller owns the text (free);
// NULL when the records tell none of these.
char *rmt_inventory_identity(const rmt_records_t *records);

// The MACs of the machine's interfaces, with blanks between. Caller owns it (free).
char *rmt_inventory_macs(const rmt_records_t *records, size_t *count_out);

// The identity of the computer that this program runs on. Caller owns the text (free);
// NULL for none. Blocks for some file reads.
char *rmt_inventory_own_identity(void);

// A disk in words for people, by its record: "disk sda (PATH, serial S, wwn W)", with
// what is known. Caller owns the text (free).
char *rmt_inventory_disk_words(const rmt_record_t *disk);
// Put these words of the disk on which a file or folder lies ("the disk of PATH" where
// the kernel does not tell it) and "fails: " before an error with code DISK of something
// below path; other errors stay. Blocks for some file reads. Returns -1 always.
int rmt_inventory_name_disk(const char *path, rmt_error_t *error);
