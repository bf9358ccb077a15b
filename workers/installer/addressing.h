// addressing - what a target's record says of its name and network, held against its
// hardware and the image's system: by the plan, and again before anything is ordered.
//
// hardware: what the target's agent told, NULL for nothing. os: of the image, fields
// network-stack and network-by-name of its record of class os (docs/spec/3-facts.md).
// Pure.
#pragma once

#include "facts/rmt_address.h"
#include "base/rmt_record.h"

// Whether the record can be carried out; the MAC of its only interface is filled in where
// the record names none. Changes target. 0, or -1: USAGE (a field, or fields that
// contradict; several interfaces, and no word which one has the address), UNSUPPORTED
// (the image's network stack).
int installer_addressing_complete(rmt_record_t *target, const rmt_record_t *os,
                                  rmt_error_t *error);

// Append the verdict `network` on a target to verdicts. Returns whether it fits.
bool installer_addressing_judge(const rmt_record_t *target, const rmt_records_t *hardware,
                                const rmt_record_t *os, rmt_records_t *verdicts);
