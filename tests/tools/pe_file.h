// pe_file - programs in the PE format, as small as they can be.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PE_FILE_X64 0x8664
#define PE_FILE_BLOCK ((size_t) 512) // Contents of sections begin and end at its borders

typedef struct {
    const char *name;
    const void *data; // NULL: none
    size_t size;
} pe_file_section_t;

// A program of at most 16 sections. Caller owns the result (free).
void *pe_file_make(uint16_t machine, const pe_file_section_t *sections, size_t count,
                   size_t *size_out);
