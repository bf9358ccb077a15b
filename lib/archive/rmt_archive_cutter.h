// rmt_archive_cutter - contents of archived files to chunks, cut as a capture cuts, so
// that the same contents are the same chunks.
#pragma once

#include "archive/rmt_archive_reader.h"

typedef struct rmt_archive_cutter rmt_archive_cutter_t;

rmt_archive_cutter_t *rmt_archive_cutter_new(void);
void rmt_archive_cutter_destroy(rmt_archive_cutter_t **self_p);

// Read the contents of the reader's last entry, hand each chunk to sink, and set the
// entry's chunks, which are valid until the next call. 0, or -1: the reader's, the
// sink's.
int rmt_archive_cutter_run(rmt_archive_cutter_t *self, rmt_archive_reader_t *reader,
                           rmt_entry_t *entry, rmt_chunk_sink_fn *sink, void *context,
                           rmt_error_t *error);
