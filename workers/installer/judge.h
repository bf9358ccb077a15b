// judge - one target of an engine against an image: its verdict.
#pragma once

#include "installer/rehearsal.h"
#include "match/rmt_match.h"
#include "base/rmt_record.h"

// Fill item with {target, fits, available, reason, warnings, verdicts, choice} from a
// target's record as target.page gives it (docs/spec/4-control.md). os: of the image, as
// addressing.h has it; rehearsal: NULL where the image tells no outline of its system;
// secret_fault: NULL for an image without encryption, else why this engine has no
// passphrase for it, or "".
void installer_judge(rmt_match_t *match, const rmt_record_t *os,
                     const installer_rehearsal_t *rehearsal, const rmt_record_t *target,
                     const char *secret_fault, rmt_record_t *item);
