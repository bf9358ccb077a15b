// deploy - starting a deployment of an image on targets that a user has chosen.
#pragma once

#include "console/call.h"

typedef struct {
    rmt_record_t *body;   // Of deploy.start; borrowed
    rmt_records_t *known; // Own: the targets as the broker has them, which warrants name
    rmt_records_t *items; // Own: {target} of each that was chosen
} deploy_t;

// Find the targets of a list. Borrows body, whose fields boot-timeout, at and window
// become seconds, and power wake.
// Free it with deploy_free in both cases. 0, or -1: USAGE, NOT_FOUND, what the broker
// said.
int deploy_choose(deploy_t *self, call_t *call, rmt_record_t *body, const char *list,
                  rmt_error_t *error);
void deploy_free(deploy_t *self);

// Sign a warrant for each and make the job; with the call's option "plan" the disks are
// those of that plan. Caller owns the answer {job, left-out?}. NULL: as warrant_sign_all,
// what the broker said.
rmt_msg_t *deploy_start(deploy_t *self, call_t *call, rmt_error_t *error);
