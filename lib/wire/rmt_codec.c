#include "wire/rmt_codec.h"
#include "wire/rmt_arena.h"
#include "base/rmt_auto.h"
#include "base/rmt_utf8.h"
#include "crypto/rmt_id.h"
#include "wire/rmt_scan.h"
#include "ramet.pb-c.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SCAN_FIELDS_MAX 65536
// Fields of a stored list that say anything have more than three bytes on average, empty
// ones two; so bytes that would swell are told from facts.
#define STORED_FIELDS_MAX(size) (16384 + (size) / 3)
// What unpacking may take: a constant, each byte once rounded up, and for each field its
// struct, its pointer and protobuf-c's own bookkeeping.
#define UNPACK_BASE ((size_t) 64 * 1024)
#define UNPACK_FIELD ((size_t) 160)
#define UNPACK_BUDGET(size, fields) (UNPACK_BASE + 2 * (size) + (fields) *UNPACK_FIELD)

#define SAME_NUMBER(kind)                                                                \
    static_assert((int) RMT_MSG_##kind == (int) RAMET__ENVELOPE__KIND_##kind,            \
                  "number of " #kind " in rmt_msg.h and ramet.proto")
SAME_NUMBER(HELLO);
SAME_NUMBER(WELCOME);
SAME_NUMBER(BEAT);
SAME_NUMBER(CREDIT);
SAME_NUMBER(TASK);
SAME_NUMBER(PROGRESS);
SAME_NUMBER(RESULT);
SAME_NUMBER(RECORDED);
SAME_NUMBER(CANCEL);
SAME_NUMBER(PEERS);
SAME_NUMBER(REQUEST);
SAME_NUMBER(REPLY);
SAME_NUMBER(EVENT);
SAME_NUMBER(ENROL);
SAME_NUMBER(ENROLLED);
SAME_NUMBER(REFUSED);
SAME_NUMBER(NOTICE);
SAME_NUMBER(OPEN);
SAME_NUMBER(OPENED);
SAME_NUMBER(OFFER);
SAME_NUMBER(WANT);
SAME_NUMBER(CHUNK);
SAME_NUMBER(ACK);
SAME_NUMBER(SEAL);
SAME_NUMBER(SEALED);
SAME_NUMBER(FETCH);
SAME_NUMBER(ABSENT);
SAME_NUMBER(LATER);
SAME_NUMBER(CHUNKS);
SAME_NUMBER(WHOLE);

// A SIZE is 1 to max. TEXT is a name and must keep its limit; PROSE is for people and is
// made to keep it.
typedef enum {
    UINT32,
    UINT64,
    SIZE,
    TEXT,
    PROSE,
    UID,
    UID_OR_NONE,
    ID,
    IDS,
    BITMAP,
    RECORD,
    RECORDS
} type_t;

// One row for each name of a field: the kinds of message share their names, so this is
// the whole mapping between generated structs and rmt_msg_t.
typedef struct {
    const char *name;
    type_t type;
    size_t offset;
    size_t max; // Of a size, and of the bytes of text
} row_t;

// clang-format off
#define ROW(name_, type_, max_) { #name_, type_, offsetof(rmt_msg_t, name_), max_ }
// clang-format on
static const row_t s_rows[] = {
    ROW(version, UINT32, 0),
    ROW(version_min, UINT32, 0),
    ROW(version_max, UINT32, 0),
    ROW(era, UINT32, 0),
    ROW(beat_ms, UINT32, 0),
    ROW(slots, UINT32, 0),
    ROW(attempt, UINT32, 0),
    ROW(code, UINT32, 0),
    ROW(codec, UINT32, 0),
    ROW(size, SIZE, RMT_CHUNK_SIZE_MAX),
    ROW(epoch, UINT64, 0),
    ROW(done, UINT64, 0),
    ROW(total, UINT64, 0),
    ROW(window, UINT64, 0),
    ROW(serial, UINT64, 0),
    ROW(sequence, UINT64, 0),
    ROW(task, UID, 0),
    ROW(job, UID, 0),
    ROW(nonce, UID, 0),
    ROW(idempotency, UID_OR_NONE, 0),
    ROW(id, ID, 0),
    ROW(role, TEXT, 63),
    ROW(name, TEXT, 255),
    ROW(service, TEXT, 191),
    ROW(phase, TEXT, 63),
    ROW(text, PROSE, 4096),
    ROW(place, TEXT, 127),
    ROW(verb, TEXT, 63),
    ROW(cursor, TEXT, 255),
    ROW(topic, TEXT, 200),
    ROW(token, TEXT, 255),
    ROW(ids, IDS, 0),
    ROW(bitmap, BITMAP, 0),
    ROW(body, RECORD, 0),
    ROW(items, RECORDS, 0),
    ROW(hand, RECORDS, 0),
};

static const row_t *
s_row(const char *name)
{
    const row_t *row = NULL;
    for (size_t i = 0; !row && i < sizeof s_rows / sizeof *s_rows; i++) {
        if (strcmp(s_rows[i].name, name) == 0)
            row = &s_rows[i];
    }
    assert(row); // Every field of the schema has one
    return row;
}

// A field of a generated struct, and of a message.
#define PB(type, message, field)                                                         \
    ((type *) (void *) ((char *) (message) + (field)->offset))
#define PB_COUNT(message, field)                                                         \
    ((size_t *) (void *) ((char *) (message) + (field)->quantifier_offset))
#define MSG(type, message, row) ((type *) (void *) ((char *) (message) + (row)->offset))

// ---- Records

static Ramet__Record *
s_pack_record(rmt_arena_t *arena, const rmt_record_t *record)
{
    Ramet__Record *out = rmt_arena_get(arena, sizeof *out);
    ramet__record__init(out);
    out->n_fields = record ? rmt_record_count(record) : 0;
    assert(out->n_fields <= RMT_FIELDS_MAX);
    out->fields = rmt_arena_get(arena, (out->n_fields + 1) * sizeof *out->fields);
    for (size_t i = 0; i < out->n_fields; i++) {
        Ramet__Field *field = rmt_arena_get(arena, sizeof *field);
        ramet__field__init(field);
        size_t size;
        field->name = (char *) (uintptr_t) rmt_record_name_at(record, i);
        field->value.data = (uint8_t *) (uintptr_t) rmt_record_value_at(record, i, &size);
        field->value.len = size;
        out->fields[i] = field;
    }
    return out;
}

static Ramet__Record **
s_pack_list(rmt_arena_t *arena, const rmt_records_t *records, size_t *count_out)
{
    *count_out = records ? rmt_records_count(records) : 0;
    Ramet__Record **list = rmt_arena_get(arena, (*count_out + 1) * sizeof *list);
    for (size_t i = 0; i < *count_out; i++)
        list[i] = s_pack_record(arena, rmt_records_at(records, i));
    return list;
}

// Foreign counts are limited before memory is taken for them.
static rmt_record_t *
s_unpack_record(const Ramet__Record *in, rmt_error_t *error)
{
    const size_t count = in ? in->n_fields : 0;
    if (count > RMT_FIELDS_MAX) {
        rmt_fail(error, RMT_E_TOO_BIG, "a record has %zu fields", count);
        return NULL;
    }
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += strlen(in->fields[i]->name) + in->fields[i]->value.len;
    rmt_auto(rmt_record) record = rmt_record_new_sized(count, bytes);
    for (size_t i = 0; i < count; i++) {
        const Ramet__Field *field = in->fields[i];
        if (!rmt_record_add(record, field->name, field->value.data, field->value.len)) {
            rmt_fail(error, RMT_E_PROTOCOL,
                     "field name \"%.64s\" is not valid or comes twice", field->name);
            return NULL;
        }
    }
    return rmt_take(&record);
}

static rmt_records_t *
s_unpack_list(Ramet__Record *const *list, size_t count, rmt_error_t *error)
{
    rmt_auto(rmt_records) records = rmt_records_new();
    for (size_t i = 0; i < count; i++) {
        rmt_record_t *record = s_unpack_record(list[i], error);
        if (!record)
            return NULL;
        rmt_records_append(records, &record);
    }
    return rmt_take(&records);
}

// ---- Encoding

static ProtobufCBinaryData
s_binary(const void *data, size_t size)
{
    return (ProtobufCBinaryData){size, (uint8_t *) (uintptr_t) data};
}

static ProtobufCBinaryData
s_uid_or_none(const uint8_t *uid)
{
    static const uint8_t none[RMT_UID_SIZE];
    const bool is_none = memcmp(uid, none, RMT_UID_SIZE) == 0;
    return is_none ? s_binary(NULL, 0) : s_binary(uid, RMT_UID_SIZE);
}

// Prose may quote names of files, which are bytes: what is no UTF-8 becomes "?", and
// what is too long is cut between characters. A name that breaks the rules is misuse.
static const char *
s_encode_text(rmt_arena_t *arena, const row_t *row, const char *text)
{
    size_t size = strlen(text);
    const bool is_good = size <= row->max && rmt_utf8_span(text, size) == size;
    if (is_good)
        return text;
    assert(row->type == PROSE);
    size = size < row->max ? size : row->max;
    char *copy = rmt_arena_get(arena, size + 1);
    memcpy(copy, text, size);
    for (size_t at = rmt_utf8_span(copy, size); at < size;
         at += rmt_utf8_span(copy + at, size - at))
        copy[at] = '?';
    return copy;
}

static void
s_encode_field(rmt_arena_t *arena, const rmt_msg_t *msg, void *out,
               const ProtobufCFieldDescriptor *field)
{
    const row_t *row = s_row(field->name);
    zchunk_t *bytes;
    const char *text;
    switch (row->type) {
    case UINT32:
        *PB(uint32_t, out, field) = *MSG(const uint32_t, msg, row);
        break;
    case UINT64:
        *PB(uint64_t, out, field) = *MSG(const uint64_t, msg, row);
        break;
    case SIZE:
        *PB(uint32_t, out, field) = *MSG(const uint32_t, msg, row);
        assert(*MSG(const uint32_t, msg, row) - 1 < row->max);
        break;
    case TEXT:
    case PROSE:
        text = *MSG(char *const, msg, row);
        if (text)
            *PB(const char *, out, field) = s_encode_text(arena, row, text);
        break;
    case UID_OR_NONE:
        *PB(ProtobufCBinaryData, out, field) =
            s_uid_or_none(MSG(const uint8_t, msg, row));
        break;
    case UID:
        *PB(ProtobufCBinaryData, out, field) =
            s_binary(MSG(const uint8_t, msg, row), RMT_UID_SIZE);
        break;
    case ID:
        *PB(ProtobufCBinaryData, out, field) =
            s_binary(MSG(const uint8_t, msg, row), RMT_ID_SIZE);
        break;
    case IDS:
    case BITMAP:
        bytes = *MSG(zchunk_t *const, msg, row);
        *PB(ProtobufCBinaryData, out, field) =
            bytes ? s_binary(zchunk_data(bytes), zchunk_size(bytes)) : s_binary(NULL, 0);
        break;
    case RECORD:
        *PB(Ramet__Record *, out, field) =
            s_pack_record(arena, *MSG(rmt_record_t *const, msg, row));
        break;
    case RECORDS:
        *PB(Ramet__Record **, out, field) = s_pack_list(
            arena, *MSG(rmt_records_t *const, msg, row), PB_COUNT(out, field));
        assert(*PB_COUNT(out, field) <= RMT_ITEMS_MAX);
        break;
    }
}

zframe_t *
rmt_codec_encode(const rmt_msg_t *msg)
{
    rmt_auto(rmt_arena) arena = rmt_arena_new(SIZE_MAX / 2);
    Ramet__Envelope envelope = RAMET__ENVELOPE__INIT;
    envelope.version = RMT_WIRE_VERSION;
    envelope.sequence = msg->sequence;
    const ProtobufCFieldDescriptor *kind =
        protobuf_c_message_descriptor_get_field(&ramet__envelope__descriptor, msg->kind);
    assert(kind);
    const ProtobufCMessageDescriptor *descriptor = kind->descriptor;
    ProtobufCMessage *body = rmt_arena_get(arena, descriptor->sizeof_message);
    descriptor->message_init(body);
    for (unsigned i = 0; i < descriptor->n_fields; i++)
        s_encode_field(arena, msg, body, &descriptor->fields[i]);
    envelope.kind_case = (Ramet__Envelope__KindCase) msg->kind;
    *PB(ProtobufCMessage *, &envelope, kind) = body;
    zframe_t *frame = zframe_new(NULL, ramet__envelope__get_packed_size(&envelope));
    ramet__envelope__pack(&envelope, zframe_data(frame));
    return frame;
}

// ---- Decoding

static int
s_decode_uid(const ProtobufCBinaryData *in, const row_t *row, uint8_t *out,
             rmt_error_t *error)
{
    if (row->type == UID_OR_NONE && in->len == 0)
        return 0;
    const size_t size = row->type == ID ? RMT_ID_SIZE : RMT_UID_SIZE;
    if (in->len != size)
        return rmt_fail(error, RMT_E_PROTOCOL, "%s has %zu bytes", row->name, in->len);
    if (row->type == ID && in->data[0] != RMT_ID_SHA256)
        return rmt_fail(error, RMT_E_PROTOCOL, "%s has an unknown algorithm", row->name);
    memcpy(out, in->data, size);
    return 0;
}

static int
s_decode_size(uint32_t in, const row_t *row, uint32_t *out, rmt_error_t *error)
{
    if (in == 0 || in > row->max)
        return rmt_fail(error, RMT_E_PROTOCOL, "%s is %u, not 1 to %zu", row->name, in,
                        row->max);
    *out = in;
    return 0;
}

static int
s_decode_bytes(const ProtobufCBinaryData *in, const row_t *row, zchunk_t **out,
               rmt_error_t *error)
{
    const bool ids = row->type == IDS;
    const size_t max = ids ? (size_t) RMT_IDS_MAX * RMT_ID_SIZE : RMT_IDS_MAX / 8;
    if (in->len > max || (ids && in->len % RMT_ID_SIZE))
        return rmt_fail(error, RMT_E_PROTOCOL, "%s has %zu bytes", row->name, in->len);
    for (size_t i = 0; ids && i < in->len; i += RMT_ID_SIZE) {
        if (in->data[i] != RMT_ID_SHA256)
            return rmt_fail(error, RMT_E_PROTOCOL, "an id has an unknown algorithm");
    }
    *out = zchunk_new(in->data, in->len);
    return 0;
}

static int
s_decode_text(const char *in, const row_t *row, char **out, rmt_error_t *error)
{
    if (strlen(in) > row->max)
        return rmt_fail(error, RMT_E_PROTOCOL, "%s has more than %zu bytes", row->name,
                        row->max);
    rmt_msg_text(out, in);
    return 0;
}

static int
s_decode_field(const void *in, const ProtobufCFieldDescriptor *field, rmt_msg_t *msg,
               rmt_error_t *error)
{
    const row_t *row = s_row(field->name);
    switch (row->type) {
    case UINT32:
        *MSG(uint32_t, msg, row) = *PB(const uint32_t, in, field);
        return 0;
    case UINT64:
        *MSG(uint64_t, msg, row) = *PB(const uint64_t, in, field);
        return 0;
    case SIZE:
        return s_decode_size(*PB(const uint32_t, in, field), row, MSG(uint32_t, msg, row),
                             error);
    case TEXT:
    case PROSE:
        return s_decode_text(*PB(char *const, in, field), row, MSG(char *, msg, row),
                             error);
    case UID:
    case UID_OR_NONE:
    case ID:
        return s_decode_uid(PB(const ProtobufCBinaryData, in, field), row,
                            MSG(uint8_t, msg, row), error);
    case IDS:
    case BITMAP:
        return s_decode_bytes(PB(const ProtobufCBinaryData, in, field), row,
                              MSG(zchunk_t *, msg, row), error);
    case RECORD:
        *MSG(rmt_record_t *, msg, row) =
            s_unpack_record(*PB(Ramet__Record *const, in, field), error);
        return *MSG(rmt_record_t *, msg, row) ? 0 : -1;
    case RECORDS:
        if (*PB_COUNT(in, field) > RMT_ITEMS_MAX)
            return rmt_fail(error, RMT_E_TOO_BIG, "%s holds %zu records", row->name,
                            *PB_COUNT(in, field));
        *MSG(rmt_records_t *, msg, row) = s_unpack_list(
            *PB(Ramet__Record * *const, in, field), *PB_COUNT(in, field), error);
        return *MSG(rmt_records_t *, msg, row) ? 0 : -1;
    }
    return rmt_fail(error, RMT_E_INTERNAL, "field %s has no type", field->name);
}

static rmt_msg_t *
s_decode_envelope(const Ramet__Envelope *envelope, rmt_error_t *error)
{
    const ProtobufCFieldDescriptor *kind = protobuf_c_message_descriptor_get_field(
        &ramet__envelope__descriptor, (unsigned) envelope->kind_case);
    if (envelope->version != RMT_WIRE_VERSION || !kind) {
        rmt_fail(error, RMT_E_PROTOCOL, "version %u, kind %u", envelope->version,
                 (unsigned) envelope->kind_case);
        return NULL;
    }
    rmt_auto(rmt_msg) msg = rmt_msg_new((rmt_msg_kind_t) envelope->kind_case);
    const ProtobufCMessage *body = *PB(ProtobufCMessage *const, envelope, kind);
    const ProtobufCMessageDescriptor *descriptor = kind->descriptor;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        if (s_decode_field(body, &descriptor->fields[i], msg, error) == -1) {
            rmt_wrap(error, "%s", rmt_msg_kind_name(msg->kind));
            return NULL;
        }
    }
    msg->sequence = envelope->sequence;
    return rmt_take(&msg);
}

rmt_msg_t *
rmt_codec_decode(const void *data, size_t size, rmt_error_t *error)
{
    if (size > RMT_CONTROL_SIZE_MAX) {
        rmt_fail(error, RMT_E_TOO_BIG, "an envelope of %zu bytes", size);
        return NULL;
    }
    size_t fields;
    if (rmt_scan(&ramet__envelope__descriptor, data, size, SCAN_FIELDS_MAX, &fields,
                 error) == -1)
        return NULL;
    rmt_auto(rmt_arena) arena = rmt_arena_new(UNPACK_BUDGET(size, fields));
    ProtobufCAllocator allocator = rmt_arena_allocator(arena);
    const Ramet__Envelope *envelope = ramet__envelope__unpack(&allocator, size, data);
    if (!envelope) {
        rmt_fail(error, RMT_E_PROTOCOL, "%zu bytes are not an envelope", size);
        return NULL;
    }
    return s_decode_envelope(envelope, error);
}

// ---- Stored records

zchunk_t *
rmt_codec_pack_records(const rmt_records_t *records)
{
    rmt_auto(rmt_arena) arena = rmt_arena_new(SIZE_MAX / 2);
    Ramet__Records list = RAMET__RECORDS__INIT;
    list.items = s_pack_list(arena, records, &list.n_items);
    zchunk_t *chunk = zchunk_new(NULL, ramet__records__get_packed_size(&list));
    zchunk_fill(chunk, 0, zchunk_max_size(chunk)); // Makes its capacity count as data
    ramet__records__pack(&list, zchunk_data(chunk));
    return chunk;
}

rmt_records_t *
rmt_codec_unpack_records(const void *data, size_t size, size_t limit, rmt_error_t *error)
{
    if (size > limit) {
        rmt_fail(error, RMT_E_TOO_BIG, "records of %zu bytes, limit %zu", size, limit);
        return NULL;
    }
    size_t fields;
    if (rmt_scan(&ramet__records__descriptor, data, size, STORED_FIELDS_MAX(size),
                 &fields, error) == -1)
        return NULL;
    rmt_auto(rmt_arena) arena = rmt_arena_new(UNPACK_BUDGET(size, fields));
    ProtobufCAllocator allocator = rmt_arena_allocator(arena);
    const Ramet__Records *list = ramet__records__unpack(&allocator, size, data);
    if (!list) {
        rmt_fail(error, RMT_E_PROTOCOL, "%zu bytes are not a list of records", size);
        return NULL;
    }
    return s_unpack_list(list->items, list->n_items, error);
}
