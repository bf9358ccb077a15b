// descriptor - the description of an image that this engine holds.
#pragma once

#include "base/rmt_error.h"
#include "place/holder.h"
#include "base/rmt_record.h"

// Blocks for reading. Caller owns the result. NULL: USAGE (no id), NOT_FOUND (the store
// lacks it), CORRUPT, IO.
rmt_records_t *installer_descriptor(const rmt_holder_t *holder, const char *image_text,
                                    rmt_error_t *error);
