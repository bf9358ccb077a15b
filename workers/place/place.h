// place - the main of a worker over the store of a place: imager and installer differ in
// their services alone.
#pragma once

#include "place/holder.h"
#include "base/rmt_options.h"

typedef struct {
    const char *role; // "imager" or "installer", as in rmt_holder_new
    const rmt_options_t *options;
    const rmt_holder_service_t *services; // slots 0: as the setting "slots" says
    size_t service_count;
} place_program_t;

// Read options and configuration, serve until SIGTERM. Returns the exit status; what
// goes wrong is logged.
int place_main(const place_program_t *program, int argc, char **argv);
