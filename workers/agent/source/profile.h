// profile - rules for what an image leaves out and what is a private key.
//
// A profile is a text of facts (rmt_facts.h) that says its version: class=profile {name,
// version}, class=leave {path, what}, class=key {path, what}. The configuration names the
// profiles of a source: "default" and "clean" come with the program (ops/profiles), paths
// are files.
#pragma once

#include "base/rmt_config.h"
#include "base/rmt_error.h"
#include "base/rmt_record.h"

#define RMT_PROFILE_VERSION "1"

// Read all profiles that are named. Caller owns the rules: class=leave and class=key, in
// order. NULL: CONFIG (a rule that is none, by file), UNSUPPORTED (version), NOT_FOUND,
// IO.
rmt_records_t *rmt_profile_read(const rmt_config_t *config, rmt_error_t *error);
// The rules of one text; name is for errors; for tests. NULL: CONFIG, UNSUPPORTED.
rmt_records_t *rmt_profile_parse(const char *text, const char *name, rmt_error_t *error);

// What the first rule of a class (leave, key) that matches a path says; NULL when none
// does. The path is that from the root of the system, without a leading slash.
const char *rmt_profile_find(const rmt_records_t *rules, const char *class,
                             const char *path);
