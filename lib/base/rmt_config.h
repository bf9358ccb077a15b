// rmt_config - a program's settings: a ZPL file checked against one table.
//
// Every key a program knows is a row; what the file does not say has the row's
// preset. A key that no row names, a key given twice, a bad number or a value out
// of its limits is an error that names file and key, never a silent preset.
// No other user may write the file, and none may read one with a secret in it. An
// instance belongs to one thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/rmt_error.h"

typedef enum {
    RMT_CONFIG_TEXT,   // min and max are lengths
    RMT_CONFIG_NUMBER, // Decimal; min and max are values
    RMT_CONFIG_BOOL,   // yes or no
    RMT_CONFIG_PATH,   // Absolute, or empty when the preset is empty
    RMT_CONFIG_SECRET, // TEXT, or the path of a file; its text only in a file that no
                       // other user can read
    RMT_CONFIG_LIST,   // Words parted by blanks or commas; min and max are counts
} rmt_config_type_t;

// Tables end with a row whose path is NULL.
typedef struct {
    const char *path; // Like "store/path": section and key
    rmt_config_type_t type;
    const char *preset; // NULL: the file must give this key
    int64_t min, max;   // Both 0: no limit
    const char *help;   // One sentence for --print-config
} rmt_config_row_t;

typedef struct rmt_config rmt_config_t;

// Read and check a file; file NULL: presets only. Borrows rows for its whole life.
// Caller owns the result. NULL: CONFIG, also for a file that is missing.
rmt_config_t *rmt_config_new(const rmt_config_row_t *rows, const char *file,
                             rmt_error_t *error);
void rmt_config_destroy(rmt_config_t **self_p);

// Replace one value, checked like one from a file; for tests. 0, or -1: CONFIG.
int rmt_config_set(rmt_config_t *self, const char *path, const char *value,
                   rmt_error_t *error);

// Values by path. A path or a type that is not in the table is misuse (assert).
// Results are valid until the value is set again or the config is destroyed.
const char *rmt_config_text(const rmt_config_t *self,
                            const char *path); // TEXT, PATH, SECRET
int64_t rmt_config_number(const rmt_config_t *self, const char *path);
bool rmt_config_bool(const rmt_config_t *self, const char *path);
// NULL-terminated; never NULL itself.
const char *const *rmt_config_list(const rmt_config_t *self, const char *path);

// Write every key with its help and preset as a file that rmt_config_new reads;
// keys that must be given are written as comments.
void rmt_config_print(const rmt_config_row_t *rows, FILE *out);
