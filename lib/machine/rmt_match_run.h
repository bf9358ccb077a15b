// rmt_match_run - one comparison under way; inside lib/machine only.
#pragma once

#include <stdbool.h>
#include "rmt_record.h"

typedef struct {
    const rmt_records_t *image;
    const rmt_records_t *target;
    const rmt_record_t *policy;
    rmt_records_t *verdicts;
    bool fits;
} rmt_match_run_t;

// Append a verdict; reason may be NULL when it fits. Returns the record.
rmt_record_t *rmt_match_verdict(rmt_match_run_t *run, const char *component,
                                const char *wanted, const char *had, bool fits,
                                const char *reason);

// The policy in force for a component.
const char *rmt_match_policy(const rmt_match_run_t *run, const char *component);

// Give each disk role of the image a disk of the target.
void rmt_match_disks(rmt_match_run_t *run);
