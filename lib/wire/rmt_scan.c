#include "wire/rmt_scan.h"
#include "base/rmt_utf8.h"

#include <assert.h>
#include <string.h>

// A message that is being walked: its bytes up to end.
typedef struct {
    const ProtobufCMessageDescriptor *descriptor;
    const uint8_t *end;
    uint64_t seen; // Bit i: single field i was given
} level_t;

// A tag or value of base 128; NULL when it does not end in time.
static const uint8_t *
s_varint(const uint8_t *at, const uint8_t *end, uint64_t *value_out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && at < end; shift += 7) {
        const uint8_t byte = *at++;
        if (shift == 63 && byte > 1)
            return NULL;
        value |= (uint64_t) (byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *value_out = value;
            return at;
        }
    }
    return NULL;
}

// Where the value of this wire type ends; NULL when it is broken. *begin_out is where
// the bytes of a length-delimited one begin.
static const uint8_t *
s_value(const uint8_t *at, const uint8_t *end, uint64_t wire, const uint8_t **begin_out)
{
    uint64_t number;
    const size_t left = (size_t) (end - at);
    switch (wire) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        return s_varint(at, end, &number);
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        return left < 8 ? NULL : at + 8;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        return left < 4 ? NULL : at + 4;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        at = s_varint(at, end, &number);
        if (!at || number > (uint64_t) (end - at))
            return NULL;
        *begin_out = at;
        return at + number;
    default: // Groups
        return NULL;
    }
}

static uint64_t
s_wire_of(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    default: // The schema has no fixed-width numbers
        return PROTOBUF_C_WIRE_TYPE_VARINT;
    }
}

// What a single field is noted by: its place in the message, and one bit for all members
// of a oneof (the schema has at most one in a message).
static uint64_t
s_bit_of(const ProtobufCMessageDescriptor *descriptor,
         const ProtobufCFieldDescriptor *field)
{
    const ptrdiff_t place = field - descriptor->fields;
    assert(place < 63);
    return UINT64_C(1) << (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF ? 63 : place);
}

// The rules of one field whose number is known.
static int
s_check(level_t *level, const ProtobufCFieldDescriptor *field, uint64_t wire,
        const uint8_t *begin, const uint8_t *end, rmt_error_t *error)
{
    if (wire != s_wire_of(field))
        return rmt_fail(error, RMT_E_PROTOCOL, "%s.%s has wire type %u",
                        level->descriptor->short_name, field->name, (unsigned) wire);
    const uint64_t bit = s_bit_of(level->descriptor, field);
    if (field->label != PROTOBUF_C_LABEL_REPEATED && (level->seen & bit))
        return rmt_fail(error, RMT_E_PROTOCOL, "%s.%s is given twice",
                        level->descriptor->short_name, field->name);
    level->seen |= bit;
    if (field->type == PROTOBUF_C_TYPE_STRING &&
        rmt_utf8_span(begin, (size_t) (end - begin)) != (size_t) (end - begin))
        return rmt_fail(error, RMT_E_PROTOCOL, "%s.%s is not UTF-8 text",
                        level->descriptor->short_name, field->name);
    return 0;
}

int
rmt_scan(const ProtobufCMessageDescriptor *descriptor, const void *data, size_t size,
         size_t fields_max, size_t *fields_out, rmt_error_t *error)
{
    const uint8_t *at = data;
    level_t levels[RMT_SCAN_DEPTH_MAX];
    size_t depth = 1, fields = 0;
    levels[0] = (level_t){descriptor, size ? at + size : at, 0};
    while (depth > 0) {
        level_t *level = &levels[depth - 1];
        if (at == level->end) {
            depth--;
            continue;
        }
        if (++fields > fields_max)
            return rmt_fail(error, RMT_E_TOO_BIG, "more than %zu fields", fields_max);
        uint64_t tag;
        const uint8_t *begin = NULL;
        const uint8_t *value = s_varint(at, level->end, &tag);
        const uint8_t *end = value ? s_value(value, level->end, tag & 7, &begin) : NULL;
        if (!end || tag >> 3 == 0 || tag > UINT32_MAX)
            return rmt_fail(error, RMT_E_PROTOCOL, "%s is broken at byte %zu",
                            level->descriptor->short_name,
                            (size_t) (at - (const uint8_t *) data));
        const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(
            level->descriptor, (unsigned) (tag >> 3));
        if (field && s_check(level, field, tag & 7, begin, end, error) == -1)
            return -1;
        at = end;
        if (!field || field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        if (depth == RMT_SCAN_DEPTH_MAX)
            return rmt_fail(error, RMT_E_TOO_BIG, "messages are nested %zu deep",
                            depth + 1);
        levels[depth++] = (level_t){field->descriptor, end, 0};
        at = begin;
    }
    *fields_out = fields;
    return 0;
}
