// addressing - what a target's record says of name and network, made sure of before
// anything is ordered.
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Check a target's record against the image's system, and fill in the MAC of its only
// interface where the record names none. os: record of class os of the image, NULL for
// none. Changes target. 0, or -1: USAGE (a field; several interfaces, and no word which
// one has the address), UNSUPPORTED (the image's network stack).
int installer_addressing_complete(rmt_record_t *target, const rmt_record_t *os,
                                  rmt_error_t *error);
