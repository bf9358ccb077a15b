// rmt_archive_reader - the entries of a tar archive by any program, one after the
// other in the archive's order.
//
// Foreign bytes: names that lead out of the tree and attributes that cannot be read are
// errors with the name. The program must be in the C locale, so that no byte of a name is
// changed.
#pragma once

#include <stddef.h>
#include "base/rmt_error.h"
#include "store/rmt_manifest.h"

typedef struct rmt_archive_reader rmt_archive_reader_t;

// Read from fd, which is borrowed. Caller owns the result. NULL: IO, CORRUPT, TOO_BIG.
rmt_archive_reader_t *rmt_archive_reader_new(int fd, rmt_error_t *error);
void rmt_archive_reader_destroy(rmt_archive_reader_t **self_p);

// The bytes that rmt_archive_writer_new was given, or NULL. Valid while self lives.
const void *rmt_archive_reader_head(const rmt_archive_reader_t *self, size_t *size_out);

// The next entry, without chunks; path is without slashes at its ends, "" the root.
// *link_out is NULL, or the path of the entry of which this is a further name. Valid
// until the next call. 1, 0 at the end, -1: CORRUPT, UNSUPPORTED, TOO_BIG, IO.
int rmt_archive_reader_next(rmt_archive_reader_t *self, rmt_entry_t *entry_out,
                            const char **link_out, rmt_error_t *error);
// The next bytes of the runs of its contents; less than size only at their end.
// 0, or -1: CORRUPT, IO.
int rmt_archive_reader_read(rmt_archive_reader_t *self, void *data, size_t size,
                            size_t *size_out, rmt_error_t *error);
