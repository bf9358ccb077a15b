// rmt_part - the words by which people mean one partition of a disk.
//
// A partition is a record {number, guid, name, label, uuid}: its number and its GUID and
// name in the table, label and UUID of what lies in it; those that it has. A word is a
// number, one of the other fields, or, as blkid prints them, PARTUUID=, PARTLABEL=,
// LABEL= or UUID= with one of them. Pure.
#pragma once

#include <stddef.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"

// Index of the partition that a word means. 0, or -1: NOT_FOUND (the words that would
// do), USAGE (it means several).
int rmt_part_find(const rmt_records_t *parts, const char *word, size_t *index_out,
                  rmt_error_t *error);

// A partition for people: "3 (ntfs, Basic data partition, Windows)". Caller owns the
// result (free).
char *rmt_part_words(const rmt_record_t *part);
