// rmt_mount_table - the lines of an fstab, or of the kernel's table of mounts, as
// libmount reads them: blanks and backslashes as octal digits, tags with quotes,
// comments.
//
// The door to libmount. A line belongs to its table. Reads no file but
// /proc/self/mountinfo. A class of one thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/rmt_error.h"

typedef struct {
    size_t number; // Of the line, from 1; of an fstab alone
    char *spec;    // As it stands there, decoded
    char *tag;     // UUID, LABEL, PARTUUID, PARTLABEL or ID; "" for a path
    char *value;   // Of the tag, without quotes; else the path
    char *folder;
    char *type;
    char *options; // "" for none; of mountinfo those of the superblock
    char *root;    // Of mountinfo: what of the file system is mounted
    dev_t device;  // Of mountinfo
} rmt_mount_line_t;

typedef struct rmt_mount_table rmt_mount_table_t;

// Read the text of an fstab. Only the first four words of a line count. A line of one
// word mounts nothing, and is skipped. Caller owns the result. NULL: CONFIG, a line that
// programs read in different ways, with its number.
rmt_mount_table_t *rmt_mount_table_fstab(const char *text, rmt_error_t *error);

// Read a text in the form of /proc/self/mountinfo; NULL: that file. Lines that are none
// are skipped. Caller owns the result. NULL: IO, TOO_BIG.
rmt_mount_table_t *rmt_mount_table_live(const char *text, rmt_error_t *error);

void rmt_mount_table_destroy(rmt_mount_table_t **self_p);

size_t rmt_mount_table_count(const rmt_mount_table_t *self);
const rmt_mount_line_t *rmt_mount_table_at(const rmt_mount_table_t *self, size_t index);

// A text as a word of an fstab. Caller owns the result (free).
char *rmt_mount_word(const char *text);

// True when a line has this option. *value_out, which may be NULL: its value, of
// *size_out bytes, inside the line; NULL for one without.
bool rmt_mount_option(const rmt_mount_line_t *line, const char *name,
                      const char **value_out, size_t *size_out);
