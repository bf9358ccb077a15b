// rehearsal - what CONFIGURE would do on a target, planned before there is a tree: by the
// planner that the writer runs, over the outline that the image carries (rmt_outline.h).
//
// An instance has a folder of its own with that tree, and belongs to one thread.
#pragma once

#include <stdbool.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"
#include "facts/rmt_layout.h"

typedef struct installer_rehearsal installer_rehearsal_t;

typedef struct {
    const rmt_records_t *outline;
    bool is_cut; // It does not tell all: nothing is refused by it
    const rmt_layout_t *layout;
    const char *boot_paths; // As the image's record of class system has them
    bool explain;           // A verdict for each thing that is done
} installer_rehearsal_config_t;

// Borrows all that config names but the outline until the end. Makes a folder in /tmp.
// Caller owns the result. NULL: IO, NO_SPACE, PROTOCOL, REFUSED (no outline).
installer_rehearsal_t *installer_rehearsal_new(const installer_rehearsal_config_t *config,
                                               rmt_error_t *error);
void installer_rehearsal_destroy(installer_rehearsal_t **self_p);

// What every copy would share with the source, as one text; "" for nothing. Borrowed.
const char *installer_rehearsal_warnings(const installer_rehearsal_t *self);

// Append the verdict `configure` on a target's record, which is complete, to verdicts.
// Returns whether it fits.
bool installer_rehearsal_judge(const installer_rehearsal_t *self,
                               const rmt_record_t *target, rmt_records_t *verdicts);
