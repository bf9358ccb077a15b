// job - jobs as people know them, by their short names.
#pragma once

#include "console/call.h"

// Set name, which people and scripts know, by the uid in this field; nothing without one.
void job_set_name(rmt_record_t *job, const char *field);

// All jobs, newest first. Caller owns. NULL: what the broker said.
rmt_records_t *job_list(call_t *call, rmt_error_t *error);

// A job and its targets; job: uid, or a prefix of its name. Caller owns. NULL: as above.
rmt_msg_t *job_show(call_t *call, const char *job, rmt_error_t *error);

// What the audit stream has of a job, or of one target of it (else NULL), each with its
// time. Caller owns. NULL: as above.
rmt_records_t *job_logs(call_t *call, const char *job, const char *target,
                        rmt_error_t *error);
