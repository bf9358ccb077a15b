// scripts - the scripts of an engine that lie on other computers (M18 c).
//
// A script with a `location` is fetched when it is ordered, by curl over https or by scp
// over ssh, and is taken only when its SHA-256 is the one that was pinned to it. Fetched
// ones are kept in STORE/scripts under that hash, and are not fetched again.
#pragma once

#include "base/rmt_config.h"
#include "base/rmt_error.h"
#include "base/rmt_record.h"

#define INSTALLER_SCRIPT_SIZE_MAX ((size_t) 48 * 1024)

// Set `content` of a script {name, location, sha256}; one that has content, and no
// location, is left as it is. config: script-ca, script-key, script-hosts. Blocks for at
// most some 70 s. 0, or -1: CORRUPT (another hash), TOO_BIG, UNAVAILABLE (it could not be
// fetched), USAGE, IO.
int installer_script_complete(rmt_record_t *script, const char *store,
                              const rmt_config_t *config, rmt_error_t *error);
