// rmt_policy - how strictly each component of a machine is compared: the words that may
// be asked for, and what holds without a policy (docs/spec/3-facts.md, "Matching").
//
// A program that takes a policy checks it here, at once, so that a word that
// means nothing is refused where it was said: at the console, at the broker's door, and
// by the matching itself. Pure.
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"

// The rule for a component when no policy names it, such as "exact"; NULL when there is
// no such component. Borrowed for ever.
const char *rmt_policy_usual(const char *component);

// "cpu=family,disk.system=S-1" put into a record; later words win. Each word is a
// component and a rule that it takes, or "disk.<role>" and what the disk is known by.
// 0, or -1: USAGE, with the words that are allowed; policy has the words before it.
int rmt_policy_parse(rmt_record_t *policy, const char *text, rmt_error_t *error);

// The same, for its errors alone.
int rmt_policy_check(const char *text, rmt_error_t *error);
