// rmt_fields - the fields that a record of a source, engine or target can have, and what
// each may say (docs/spec/3-facts.md, "Records of machines").
//
// A program that takes a field from a person checks it here, so that a wrong value is
// refused when it is entered and not when a machine does not come up. What a record says
// as a whole is checked by rmt_network_parse. Pure.
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Check the fields that are set in a record of a class (source, engine, target), and put
// each value into its canonical form. An empty value removes a field, whichever it is.
// before: the record as it is, NULL for a new one; an address may have its length from
// there. 0, or -1: USAGE, with the record, the field, its value and what to write; for a
// field that does not exist the nearest one that does.
int rmt_fields_check(const char *class, rmt_record_t *changes, const rmt_record_t *before,
                     rmt_error_t *error);

// Check what a machine says of itself when it enrols: its name, its place, its identity;
// empty ones pass. 0, or -1: USAGE.
int rmt_fields_check_enrolment(const rmt_record_t *body, rmt_error_t *error);
