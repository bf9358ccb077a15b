// rmt_ini - sections of keys and values, in the two forms that network stacks have: the
// units of systemd, and the keyfiles of GLib. Private to lib/system.
#pragma once

#include <stdbool.h>
#include "system/rmt_netscan.h"

typedef struct {
    const char *path;
    unsigned line;
    const char *section, *key, *value; // Without the blanks around them
} rmt_ini_line_t;

typedef int(rmt_ini_fn)(void *context, rmt_netscan_t *scan, const rmt_ini_line_t *line);

// Load a file and give each of its lines with a value to take. is_unit: lines go on after
// a backslash, as systemd has them. A line that the form does not have refuses the plan.
// 0, or -1.
int rmt_ini_read(rmt_netscan_t *scan, const char *path, bool is_unit, rmt_ini_fn *take,
                 void *context);

// Write the file without the lines for which is_foreign is true; nothing, if it has none
// of them. To `path`, or to `copy` where the file belongs to a package. 0, or -1.
typedef bool(rmt_ini_is_fn)(const rmt_ini_line_t *line);
int rmt_ini_strip(rmt_netscan_t *scan, const char *path, const char *copy, bool is_unit,
                  rmt_ini_is_fn *is_foreign);
