// rmt_sysfs - small attribute files below a root folder.
//
// The root is "" on a running system and a made tree in a test.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/rmt_record.h"

#define RMT_SYSFS_TEXT_SIZE 4096

// The file's first line without blanks around it; "" when it cannot be read.
// Returns text.
char *rmt_sysfs_text(char text[RMT_SYSFS_TEXT_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// The same as a number in base 10, or 16 with 0x in front; 0 when it is none.
uint64_t rmt_sysfs_number(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Last part of what a symlink points to; "" when there is none. Returns text.
char *rmt_sysfs_link_name(char text[RMT_SYSFS_TEXT_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

bool rmt_sysfs_exists(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Names in a folder, sorted, each with its NUL, an empty one last; never NULL.
// Caller owns it (free).
char *rmt_sysfs_list(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Set a field when the text is not empty.
void rmt_sysfs_set(rmt_record_t *record, const char *name, const char *text);
