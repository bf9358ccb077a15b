#include "rmt_scan.h"

#include <stdbool.h>
#include <stdint.h>

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

typedef struct {
    const ProtobufCMessageDescriptor *descriptor;
    const uint8_t *end;
} level_t;

typedef struct {
    level_t levels[RMT_SCAN_DEPTH_MAX];
    size_t depth;
    const uint8_t *at;
    size_t fields;
    size_t unknown;
} scan_t;

static bool
s_varint(scan_t *scan, const uint8_t *end, uint64_t *value_out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && scan->at < end; shift += 7) {
        const uint8_t byte = *scan->at++;
        value |= (uint64_t) (byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *value_out = value;
            return true;
        }
    }
    return false;
}

static bool
s_skip(scan_t *scan, const uint8_t *end, size_t size)
{
    if ((size_t) (end - scan->at) < size)
        return false;
    scan->at += size;
    return true;
}

static unsigned
s_wire_type(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return WIRE_BYTES;
    default:
        return WIRE_VARINT; // The schema has no fixed-size numbers
    }
}

static int
s_length_delimited(scan_t *scan, const ProtobufCFieldDescriptor *field, rmt_error_t *error)
{
    const uint8_t *end = scan->levels[scan->depth - 1].end;
    uint64_t size;
    if (!s_varint(scan, end, &size) || size > (uint64_t) (end - scan->at))
        return rmt_fail(error, RMT_E_PROTOCOL, "a length goes over the end of its message");
    if (!field || field->type != PROTOBUF_C_TYPE_MESSAGE) {
        scan->at += size;
        return 0;
    }
    if (scan->depth == RMT_SCAN_DEPTH_MAX)
        return rmt_fail(error, RMT_E_PROTOCOL, "messages nest deeper than %d",
                        RMT_SCAN_DEPTH_MAX);
    scan->levels[scan->depth++] = (level_t) { field->descriptor, scan->at + size };
    return 0;
}

static int
s_field(scan_t *scan, rmt_error_t *error)
{
    const level_t *level = &scan->levels[scan->depth - 1];
    uint64_t tag, number;
    if (!s_varint(scan, level->end, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
        return rmt_fail(error, RMT_E_PROTOCOL, "a tag is broken");
    if (++scan->fields > RMT_SCAN_FIELDS_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG, "over %d fields", RMT_SCAN_FIELDS_MAX);
    const unsigned type = (unsigned) (tag & 7);
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(level->descriptor, (unsigned) (tag >> 3));
    if (field ? s_wire_type(field) != type : ++scan->unknown > RMT_SCAN_UNKNOWN_MAX)
        return rmt_fail(error, RMT_E_PROTOCOL, "field %u of %s: %s", (unsigned) (tag >> 3),
                        level->descriptor->name,
                        field ? "wrong wire type" : "too many unknown fields");
    bool ok = true;
    if (type == WIRE_BYTES)
        return s_length_delimited(scan, field, error);
    if (type == WIRE_VARINT)
        ok = s_varint(scan, level->end, &number);
    else if (type == WIRE_64 || type == WIRE_32)
        ok = s_skip(scan, level->end, type == WIRE_64 ? 8 : 4);
    else
        ok = false;
    return ok ? 0 : rmt_fail(error, RMT_E_PROTOCOL, "a field of %s is broken",
                             level->descriptor->name);
}

int
rmt_scan(const ProtobufCMessageDescriptor *descriptor, const void *data, size_t size,
         rmt_error_t *error)
{
    scan_t scan = { .at = data, .depth = 1 };
    scan.levels[0] = (level_t) { descriptor, scan.at + size };
    while (scan.depth) {
        if (scan.at == scan.levels[scan.depth - 1].end)
            scan.depth--;
        else if (s_field(&scan, error) == -1)
            return -1;
    }
    return 0;
}
