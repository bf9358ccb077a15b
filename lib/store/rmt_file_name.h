// rmt_file_name - the names of packs, indexes and markers: random bytes, written as
// digits. For lib/store alone.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_bytes.h"
#include "base/rmt_error.h"

#define RMT_FILE_NAME_SIZE 16
#define RMT_FILE_TEXT_SIZE 33 // Hexadecimal, with a NUL

typedef struct {
    uint8_t bytes[RMT_FILE_NAME_SIZE];
} rmt_file_name_t;

rmt_file_name_t rmt_file_name_new(void);
// 32 lower-case digits. Returns out.
char *rmt_file_name_text(const rmt_file_name_t *name, char out[RMT_FILE_TEXT_SIZE]);
// False when text is no such name.
bool rmt_file_name_parse(rmt_file_name_t *name_out, const char *text);
int rmt_file_name_compare(const void *a, const void *b);

// <root>/<folder>/<name> in fresh memory.
char *rmt_file_name_path(const char *root, const char *folder,
                         const rmt_file_name_t *name);

// ---- Lists of names: a buffer of rmt_file_name_t, one after the other

// The names in <root>/<folder>, sorted; files with other names are left out, and counted.
// Caller owns names_out->data. 0, or -1: IO.
int rmt_file_names_read(const char *root, const char *folder, rmt_buffer_t *names_out,
                        uint64_t *other_count_out, rmt_error_t *error);
size_t rmt_file_names_count(const rmt_buffer_t *names);
rmt_file_name_t rmt_file_names_at(const rmt_buffer_t *names, size_t index);
void rmt_file_names_add(rmt_buffer_t *names, const rmt_file_name_t *name);
void rmt_file_names_sort(rmt_buffer_t *names);
// Whether a sorted list has the name.
bool rmt_file_names_have(const rmt_buffer_t *names, const rmt_file_name_t *name);
