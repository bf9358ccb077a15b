// rmt_scan - walk protobuf bytes against their descriptor before anything is unpacked.
//
// Bytes that pass can be unpacked without deep recursion and without a length that
// points outside, in memory that the number of fields bounds. Fields
// of unknown number are stepped over, never entered. Pure, iterative, no allocation.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <protobuf-c/protobuf-c.h>
#include "base/rmt_error.h"

#define RMT_SCAN_DEPTH_MAX 8

// Borrows all. *fields_out: fields seen at all depths, known or not.
// 0, or -1: PROTOCOL (broken lengths or tags, groups, a wire type that is not the
// field's, a single field given twice, two members of a oneof, text that is no UTF-8 or
// has a NUL in it); TOO_BIG (more than fields_max fields, or messages in messages too
// deep).
int rmt_scan(const ProtobufCMessageDescriptor *descriptor, const void *data, size_t size,
             size_t fields_max, size_t *fields_out, rmt_error_t *error);
