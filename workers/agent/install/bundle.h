// bundle - the files that the first boot of an installed system needs: this program,
// its loader and its libraries, in a folder of the image's tree, so that no library of
// the image is used.
#pragma once

#include "base/rmt_error.h"
#include "base/rmt_record.h"

#define RMT_BUNDLE_FOLDER "usr/lib/ramet/firstboot"
#define RMT_BUNDLE_CONFIG "firstboot.cfg"
#define RMT_BUNDLE_KEY "key"
#define RMT_BUNDLE_SCRIPTS                                                               \
    "scripts" // Time limits, as rmt_personal_first_boot writes them

// The files of this very process as records {from: path here, name, mode: octal}: the
// program, and every shared object that is loaded now, under the name by which it was
// asked for. Caller owns the result. NULL: INTERNAL.
rmt_records_t *rmt_bundle_files(rmt_error_t *error);

// The line that runs them in the installed system: the loader by its own path, so that
// no library of the image is used. Caller owns the result (free).
char *rmt_bundle_command(const rmt_records_t *files);
