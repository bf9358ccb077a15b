// rmt_match - does a computer fit the hardware that an image was made on?
//
// One table rules (docs/spec/3-facts.md, "Matching"): components cpu, cpu-count,
// memory, firmware, disk, disk-size, controller, nic, gpu and pci, each with its
// default policy and those it takes. Pure functions, no I/O.
#pragma once

#include <stdbool.h>
#include "rmt_error.h"
#include "rmt_record.h"

// Compare. policy may be NULL; its fields are component -> exact | family |
// at-least | ignore, and "disk.<role>" -> the wwn, serial, path or name of the
// target's disk that this role shall have. Borrows all inputs. Caller owns
// *verdicts_out, which holds, image order:
//   class=verdict {component, policy, wanted, had, fits yes|no, reason, [role]}
//   class=choice {role, disk, name, bytes}     where each role's disk is clear
//   class=candidate {role, disk, name, bytes}  where it is not
// *fits_out is true when every verdict fits. 0, or -1: USAGE (a policy that its
// component does not take, or no such component).
int rmt_match_run(const rmt_records_t *image_hardware,
                  const rmt_records_t *target_hardware, const rmt_record_t *policy,
                  rmt_records_t **verdicts_out, bool *fits_out, rmt_error_t *error);

// What a disk is known by: its wwn, else serial, else path, else name; "" for none.
const char *rmt_match_disk_identity(const rmt_record_t *disk);
