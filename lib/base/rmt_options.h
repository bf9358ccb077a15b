// rmt_options - the command line that all daemons share.
//
//     PROGRAM [WORD...] [-c FILE] [-v] [--check-config] [--print-config]
//             [--help] [--version]
#pragma once

#include "base/rmt_config.h"

typedef struct {
    const char *program; // "ramet-imager"
    const char *usage;   // Help: words and purpose, may have several lines
    const rmt_config_row_t *rows;
    const char *file;         // Read without -c when it exists; may be NULL
    int words_min, words_max; // How many plain words may stand on the line
} rmt_options_t;

// The first plain word of the line, as rmt_options_read will find it; "" when there is
// none. May move words behind the options. Valid as long as argv.
const char *rmt_options_word(int argc, char **argv);

// Read the line and the file. -v makes the log level debug. Words are moved to
// argv[first_word_out ...]. Help, version, checks and tables go to standard output.
// Returns 1: go on, caller owns *config_out; 0: all is said, leave with status 0;
// or -1: USAGE, CONFIG.
int rmt_options_read(const rmt_options_t *self, int argc, char **argv,
                     int *first_word_out, rmt_config_t **config_out, rmt_error_t *error);
