// descriptor - the records of an image: the captured volumes, and their needs.
//
// Every record has a field "part": image, hardware, layout, exclude, os, boot or list.
// Nothing about the run is in it, so the same tree gives the same bytes, and so the same
// image id.
#pragma once

#include <czmq.h>
#include "tree/rmt_capture.h"
#include "base/rmt_error.h"
#include "crypto/rmt_id.h"
#include "base/rmt_record.h"

typedef struct rmt_descriptor rmt_descriptor_t;

// source: its name. Caller owns the result.
rmt_descriptor_t *rmt_descriptor_new(const char *source);
void rmt_descriptor_destroy(rmt_descriptor_t **self_p);

// Copy records in, each with this part.
void rmt_descriptor_add(rmt_descriptor_t *self, const char *part,
                        const rmt_records_t *records);

// Note what is wrong with a volume's tree; mount: before the paths.
void rmt_descriptor_add_report(rmt_descriptor_t *self, const char *mount,
                               const rmt_capture_report_t *report);

// Note what people should know of the source: {path, reason}; class: "dropped" (left out
// on purpose), "replayed" (it was not cleanly unmounted).
void rmt_descriptor_add_list(rmt_descriptor_t *self, const char *class,
                             const rmt_records_t *list);

// "COMPLETE", "FUZZY" or "INCOMPLETE" by the reports so far.
const char *rmt_descriptor_state(const rmt_descriptor_t *self);

// Set the first record, give the image's bytes. Caller owns the result.
// NULL: TOO_BIG for more bytes than a chunk can have.
zchunk_t *rmt_descriptor_pack(rmt_descriptor_t *self, const char *firmware,
                              const rmt_capture_report_t *totals, rmt_error_t *error);
