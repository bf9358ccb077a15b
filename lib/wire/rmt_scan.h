// rmt_scan - a walk over protobuf bytes before anything is unpacked.
//
// protobuf-c limits neither depth nor number of fields, so foreign bytes are walked
// first, without recursion: every length lies within its message, no message is deeper
// than the schema can be, known fields have their wire type, and the fields of all
// depths are counted. Unknown fields are passed over, but few.
#pragma once

#include <stddef.h>
#include <protobuf-c/protobuf-c.h>
#include "rmt_error.h"

#define RMT_SCAN_DEPTH_MAX 8
#define RMT_SCAN_FIELDS_MAX 65536 // At all depths together
#define RMT_SCAN_UNKNOWN_MAX 64

// 0, or -1: PROTOCOL, TOO_BIG.
int rmt_scan(const ProtobufCMessageDescriptor *descriptor, const void *data, size_t size,
             rmt_error_t *error);
