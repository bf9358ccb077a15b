// rmt_pe - the sections of a program in the PE format, which UEFI starts (Microsoft "PE
// Format"; unified kernel images: the UAPI specification of that name).
//
// Pure, over the first bytes of a file, which are foreign.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RMT_PE_HEAD_SIZE ((size_t) 4096) // Of a file, in which its table of sections lies

typedef struct {
    uint64_t offset, size; // In the file
} rmt_pe_section_t;

// Is it a program for x64?
bool rmt_pe_is_x64(const void *head, size_t size);

// The first section of this name of such a program; at most 64 sections are looked at.
// section_out may be NULL. False: it has none.
bool rmt_pe_find(const void *head, size_t size, const char *name,
                 rmt_pe_section_t *section_out);
