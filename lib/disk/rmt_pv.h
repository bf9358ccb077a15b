// rmt_pv - the head of a physical volume of LVM: its label, and the text that describes
// its volume group (rmt_lvm_text).
//
// The format is LVM2's own (label "LABELONE" in one of the first four sectors of 512
// bytes, areas of text behind it). It is read and written without LVM's programs: these
// look at all disks of a machine, and a group of the same name is in their way there.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"

#define RMT_PV_UUID_SIZE 39 // With its NUL

typedef struct {
    char uuid[RMT_PV_UUID_SIZE];
    uint64_t bytes;      // Of the device that it says it is
    uint64_t data_start; // Bytes; of one that is read 0
    char *text;          // Owned; NULL: it describes no group
} rmt_pv_t;

void rmt_pv_clear(rmt_pv_t *self);

// Read the head at an offset of the device or file fd. *pv_out is set when there is one;
// of several texts it has the one of the last change. 0, or -1: NOT_FOUND (no label),
// CORRUPT (a wrong sum, or a part of it lies outside), IO.
int rmt_pv_read(int fd, uint64_t offset, rmt_pv_t *pv_out, rmt_error_t *error);

// Write the head at an offset, and nothing else before the first extent. 0, or -1:
// TOO_BIG (no space for the text before data_start), IO.
int rmt_pv_write(int fd, uint64_t offset, const rmt_pv_t *pv, rmt_error_t *error);
