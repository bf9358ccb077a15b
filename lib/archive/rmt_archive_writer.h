// rmt_archive_writer - entries and their contents to a pax archive (POSIX.1-2001 tar).
//
// Entries come in manifest order, volume after volume; each carries all that pax can:
// names as bytes, owners and sizes of any magnitude, times in nanoseconds, ACLs, extended
// attributes, inode flags that have a name, devices, hard links, holes (GNU.sparse 1.0).
// What it cannot carry is counted: docs/operating.md, "Archives". The program must be in
// the C locale, so that no byte of a name is changed. The first error is final.
#pragma once

#include <stdint.h>
#include "base/rmt_error.h"
#include "store/rmt_manifest.h"

typedef struct {
    uint64_t entries, size; // size: bytes of contents
    // Entries of which the archive lacks something: project ids, inode flags without a
    // name, marks (changed while read, contents missing), space that is reserved without
    // data, allocation hints of XFS; and names of attributes that only some readers read
    // rightly.
    uint64_t projects, flags, marks, reserved, hints, odd_names;
} rmt_archive_report_t;

typedef struct rmt_archive_writer rmt_archive_writer_t;

// Write to fd, which is borrowed. head: bytes of the caller's, kept at the head of the
// archive where other programs skip them; may be NULL. Caller owns the result. NULL: IO,
// NO_SPACE.
rmt_archive_writer_t *rmt_archive_writer_new(int fd, const void *head, size_t size,
                                             rmt_error_t *error);
void rmt_archive_writer_destroy(rmt_archive_writer_t **self_p);

// Begin a volume: where it is mounted, without slashes at its ends; "" is the root.
void rmt_archive_writer_volume(rmt_archive_writer_t *self, const char *mount);
// Add the next entry. A regular file with contents waits for its data.
// 0, or -1: CORRUPT (the data before is not complete), UNSUPPORTED, IO, NO_SPACE.
int rmt_archive_writer_entry(rmt_archive_writer_t *self, const rmt_entry_t *entry,
                             rmt_error_t *error);
// The next plain bytes of the last entry's runs. 0, or -1 as above.
int rmt_archive_writer_data(rmt_archive_writer_t *self, const void *plain, size_t size,
                            rmt_error_t *error);
// End the archive. 0, or -1 as above.
int rmt_archive_writer_finish(rmt_archive_writer_t *self,
                              rmt_archive_report_t *report_out, rmt_error_t *error);
