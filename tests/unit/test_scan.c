// lib/wire: what breaks the grammar or a limit is refused, byte by byte (P16, spec
// 1-wire).
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "wire/rmt_codec.h"

#include <string.h>

// Wire bytes written by hand, so that they may break every rule.
typedef struct {
    uint8_t *data;
    size_t size, space;
} bytes_t;

static void
bytes_destroy(bytes_t **self_p)
{
    if (*self_p)
        free((*self_p)->data);
    free(*self_p);
    *self_p = NULL;
}

static bytes_t *
bytes_new(void)
{
    bytes_t *self = calloc(1, sizeof *self);
    assert_non_null(self);
    return self;
}

static void
s_varint(bytes_t *self, uint64_t value)
{
    rmt_grow(&self->data, &self->space, self->size + 10);
    for (; value > 0x7f; value >>= 7)
        self->data[self->size++] = (uint8_t) (value | 0x80);
    self->data[self->size++] = (uint8_t) value;
}

static void
s_number(bytes_t *self, unsigned field, uint64_t value)
{
    s_varint(self, field << 3);
    s_varint(self, value);
}

static void
s_bytes(bytes_t *self, unsigned field, const void *data, size_t size)
{
    s_varint(self, field << 3 | 2);
    s_varint(self, size);
    rmt_grow(&self->data, &self->space, self->size + size);
    if (size)
        memcpy(self->data + self->size, data, size);
    self->size += size;
}

// Decode an envelope of one message and give the code; RMT_E_OK when it is taken.
static rmt_code_t
s_code(rmt_msg_kind_t kind, const bytes_t *body)
{
    rmt_auto(bytes) frame = bytes_new();
    s_number(frame, 1, RMT_WIRE_VERSION);
    s_number(frame, 2, 5);
    s_bytes(frame, kind, body->data, body->size);
    rmt_auto_ptr exact = malloc(frame->size); // So that a sanitizer sees an overrun
    memcpy(exact, frame->data, frame->size);
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) msg = rmt_codec_decode(exact, frame->size, &error);
    assert_true((msg == NULL) == (error.code != RMT_E_OK));
    assert_true(msg || error.text[0]);
    return error.code;
}

static const uint8_t s_zeros[RMT_CONTROL_SIZE_MAX];
static const uint8_t s_id[33] = {1, 2, 3};

static void
test_a_uid_has_16_bytes(void **state)
{
    (void) state;
    for (size_t size = 0; size <= 17; size++) {
        rmt_auto(bytes) recorded = bytes_new();
        s_bytes(recorded, 1, s_zeros, size);
        assert_int_equal(s_code(RMT_MSG_RECORDED, recorded),
                         size == 16 ? RMT_E_OK : RMT_E_PROTOCOL);
    }
    rmt_auto(bytes) nothing = bytes_new();
    assert_int_equal(s_code(RMT_MSG_RECORDED, nothing), RMT_E_PROTOCOL);
}

static void
test_an_idempotency_key_may_be_left_out(void **state)
{
    (void) state;
    for (size_t size = 0; size <= 17; size++) {
        rmt_auto(bytes) request = bytes_new();
        s_bytes(request, 1, s_zeros, size);
        assert_int_equal(s_code(RMT_MSG_REQUEST, request),
                         size == 0 || size == 16 ? RMT_E_OK : RMT_E_PROTOCOL);
    }
}

// [1.10]: the row tells which sizes are taken.
static void
test_a_chunk_has_an_id_and_a_size(void **state)
{
    (void) state;
    static const struct {
        size_t id_size;
        uint8_t algorithm;
        uint64_t size;
        rmt_code_t code;
    } rows[] = {
        {33, 1, 1, RMT_E_OK},
        {33, 1, RMT_CHUNK_SIZE_MAX, RMT_E_OK},
        {33, 1, 0, RMT_E_PROTOCOL},
        {33, 1, RMT_CHUNK_SIZE_MAX + 1, RMT_E_PROTOCOL},
        {33, 1, UINT32_MAX, RMT_E_PROTOCOL},
        {32, 1, 1, RMT_E_PROTOCOL},
        {0, 1, 1, RMT_E_PROTOCOL},
        {34, 1, 1, RMT_E_PROTOCOL},
        {33, 2, 1, RMT_E_PROTOCOL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint8_t id[34] = {rows[i].algorithm};
        rmt_auto(bytes) chunk = bytes_new();
        s_bytes(chunk, 1, id, rows[i].id_size);
        s_number(chunk, 3, rows[i].size);
        assert_int_equal(s_code(RMT_MSG_CHUNK, chunk), rows[i].code);
    }
}

// [1.10]: a half id and an id of another algorithm are refused too.
static void
test_ids_are_whole_and_at_most_1024(void **state)
{
    (void) state;
    static uint8_t ids[(RMT_IDS_MAX + 1) * 33];
    for (size_t i = 0; i < sizeof ids; i += 33)
        memcpy(ids + i, s_id, 33);
    static const size_t good[] = {0, 33, RMT_IDS_MAX * 33};
    static const size_t bad[] = {1, 32, 34, RMT_IDS_MAX * 33 + 1, (RMT_IDS_MAX + 1) * 33};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        rmt_auto(bytes) offer = bytes_new();
        s_bytes(offer, 2, ids, good[i]);
        assert_int_equal(s_code(RMT_MSG_OFFER, offer), RMT_E_OK);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rmt_auto(bytes) offer = bytes_new();
        s_bytes(offer, 2, ids, bad[i]);
        assert_int_equal(s_code(RMT_MSG_OFFER, offer), RMT_E_PROTOCOL);
    }
    ids[33] = 7; // The second id's algorithm
    rmt_auto(bytes) offer = bytes_new();
    s_bytes(offer, 2, ids, 66);
    assert_int_equal(s_code(RMT_MSG_OFFER, offer), RMT_E_PROTOCOL);
}

static void
test_a_bitmap_has_at_most_128_bytes(void **state)
{
    (void) state;
    rmt_auto(bytes) want = bytes_new();
    s_bytes(want, 2, s_zeros, 128);
    assert_int_equal(s_code(RMT_MSG_WANT, want), RMT_E_OK);
    rmt_auto(bytes) more = bytes_new();
    s_bytes(more, 2, s_zeros, 129);
    assert_int_equal(s_code(RMT_MSG_WANT, more), RMT_E_PROTOCOL);
}

// [1.10]: the last length that fits, and one more.
static void
test_text_keeps_its_limit(void **state)
{
    (void) state;
    static const struct {
        rmt_msg_kind_t kind;
        unsigned field;
        size_t max;
    } rows[] = {
        {RMT_MSG_CREDIT, 1, 191}, {RMT_MSG_PEERS, 1, 127},  {RMT_MSG_REQUEST, 2, 63},
        {RMT_MSG_REPLY, 5, 255},  {RMT_MSG_REPLY, 2, 4096}, {RMT_MSG_EVENT, 1, 200},
    };
    char text[5000];
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto(bytes) fits = bytes_new();
        s_bytes(fits, rows[i].field, text, rows[i].max);
        assert_int_equal(s_code(rows[i].kind, fits), RMT_E_OK);
        rmt_auto(bytes) longer = bytes_new();
        s_bytes(longer, rows[i].field, text, rows[i].max + 1);
        assert_int_equal(s_code(rows[i].kind, longer), RMT_E_PROTOCOL);
    }
}

// [1.12]: other forms are refused.
static void
test_text_is_utf8_without_nul(void **state)
{
    (void) state;
    static const char *const good[] = {"a",
                                       "\xc3\xa4",
                                       "\xe2\x82\xac",
                                       "\xf0\x9f\x98\x80",
                                       "\xed\x9f\xbf",
                                       "\xef\xbf\xbf",
                                       "\xf4\x8f\xbf\xbf"};
    // Shortest form, no surrogates, nothing above U+10FFFF, nothing cut (RFC 3629).
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc3",
                                      "\xe0\x9f\xbf",
                                      "\xe2\x82",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80",
                                      "\xff",
                                      "ok\xfe"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        rmt_auto(bytes) request = bytes_new();
        s_bytes(request, 2, good[i], strlen(good[i]));
        assert_int_equal(s_code(RMT_MSG_REQUEST, request), RMT_E_OK);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rmt_auto(bytes) request = bytes_new();
        s_bytes(request, 2, bad[i], strlen(bad[i]));
        assert_int_equal(s_code(RMT_MSG_REQUEST, request), RMT_E_PROTOCOL);
    }
    rmt_auto(bytes) request = bytes_new();
    s_bytes(request, 2, "a\0b", 3);
    assert_int_equal(s_code(RMT_MSG_REQUEST, request), RMT_E_PROTOCOL);
}

// A Reply whose body has this many fields, named f0, f1 ...; the last one as given.
static rmt_code_t
s_code_of_fields(size_t count, const char *last)
{
    rmt_auto(bytes) body = bytes_new();
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "f%zu", i);
        const char *used = last && i == count - 1 ? last : name;
        rmt_auto(bytes) field = bytes_new();
        s_bytes(field, 1, used, strlen(used));
        s_bytes(field, 2, "v", 1);
        s_bytes(body, 1, field->data, field->size);
    }
    rmt_auto(bytes) reply = bytes_new();
    s_bytes(reply, 3, body->data, body->size);
    return s_code(RMT_MSG_REPLY, reply);
}

// [1.10]: one more is refused.
static void
test_a_record_has_at_most_256_fields_of_different_names(void **state)
{
    (void) state;
    assert_int_equal(s_code_of_fields(256, NULL), RMT_E_OK);
    assert_int_equal(s_code_of_fields(257, NULL), RMT_E_TOO_BIG);
    assert_int_equal(s_code_of_fields(2, "f0"), RMT_E_PROTOCOL);
}

static void
test_names_of_fields_are_checked(void **state)
{
    (void) state;
    char name[66];
    memset(name, 'n', sizeof name);
    name[63] = '\0';
    assert_int_equal(s_code_of_fields(1, name), RMT_E_OK);
    name[63] = 'n';
    name[64] = '\0';
    assert_int_equal(s_code_of_fields(1, name), RMT_E_PROTOCOL);
    static const char *const bad[] = {"", "A", "-x", "a b", "../x", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(s_code_of_fields(1, bad[i]), RMT_E_PROTOCOL);
}

// [1.10]: one more is refused.
static void
test_a_message_holds_at_most_4096_records(void **state)
{
    (void) state;
    rmt_auto(bytes) fits = bytes_new();
    for (size_t i = 0; i < RMT_ITEMS_MAX; i++)
        s_bytes(fits, 1, "", 0);
    assert_int_equal(s_code(RMT_MSG_BEAT, fits), RMT_E_OK);
    s_bytes(fits, 1, "", 0);
    assert_int_equal(s_code(RMT_MSG_BEAT, fits), RMT_E_TOO_BIG);
}

// [1.11]: what it would cost to unpack is known before.
static void
test_a_bomb_of_empty_fields_is_refused(void **state)
{
    (void) state;
    rmt_auto(bytes) beat = bytes_new();
    for (size_t i = 0; i < 100000; i++)
        s_bytes(beat, 1, "", 0);
    assert_int_equal(s_code(RMT_MSG_BEAT, beat), RMT_E_TOO_BIG);
    // Of unknown number they are counted too: protobuf-c keeps each on the heap.
    rmt_auto(bytes) unknown = bytes_new();
    for (size_t i = 0; i < 100000; i++)
        s_bytes(unknown, 15, "", 0);
    assert_int_equal(s_code(RMT_MSG_BEAT, unknown), RMT_E_TOO_BIG);
}

static void
test_a_frame_that_is_as_full_as_it_may_be_is_taken(void **state)
{
    (void) state;
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_REPLY);
    for (size_t i = 0; i < RMT_ITEMS_MAX; i++) {
        rmt_record_t *record = rmt_records_add(rmt_msg_items(msg));
        for (char name[] = "a"; name[0] <= 'e'; name[0]++)
            rmt_record_set(record, name, "");
    }
    rmt_auto(zframe) frame = rmt_codec_encode(msg);
    assert_true(zframe_size(frame) < RMT_CONTROL_SIZE_MAX);
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) back =
        rmt_codec_decode(zframe_data(frame), zframe_size(frame), &error);
    RMT_OK(back);
    assert_int_equal(rmt_records_count(back->items), RMT_ITEMS_MAX);
}

// [1.8]: and so deep that whoever looked would not come back.
static void
test_unknown_fields_are_stepped_over_without_a_look_inside(void **state)
{
    (void) state;
    // Ten thousand levels of nesting, in a field that the schema does not have.
    rmt_auto(bytes) deep = bytes_new();
    for (size_t level = 0; level < 10000; level++) {
        rmt_auto(bytes) outer = bytes_new();
        s_bytes(outer, 15, deep->data, deep->size);
        bytes_t *swapped = deep;
        deep = outer;
        outer = swapped;
    }
    assert_true(deep->size > 20000);
    assert_int_equal(s_code(RMT_MSG_BEAT, deep), RMT_E_OK);
}

// [1.13]: the message has one meaning.
static void
test_a_single_field_given_twice_is_refused(void **state)
{
    (void) state;
    rmt_auto(bytes) ack = bytes_new();
    s_number(ack, 1, 5);
    assert_int_equal(s_code(RMT_MSG_ACK, ack), RMT_E_OK);
    s_number(ack, 1, 6);
    assert_int_equal(s_code(RMT_MSG_ACK, ack), RMT_E_PROTOCOL);
}

// [1.13]: the message has one meaning.
static void
test_another_wire_type_is_refused(void **state)
{
    (void) state;
    rmt_auto(bytes) text_for_number = bytes_new();
    s_bytes(text_for_number, 1, "5", 1);
    assert_int_equal(s_code(RMT_MSG_ACK, text_for_number), RMT_E_PROTOCOL);
    rmt_auto(bytes) number_for_record = bytes_new();
    s_number(number_for_record, 1, 5);
    assert_int_equal(s_code(RMT_MSG_BEAT, number_for_record), RMT_E_PROTOCOL);
}

// [1.6] [1.8] [1.13]: Whole frames: what they are, and whether they are taken.
static void
test_envelopes_that_break_the_grammar_are_refused(void **state)
{
    (void) state;
    static const struct {
        const char *what;
        uint8_t data[16];
        size_t size;
        bool good;
    } rows[] = {
        {"beat of version 1", {0x08, 1, 0x62, 0}, 4, true},
        {"nothing", {0}, 0, false},
        {"no version", {0x62, 0}, 2, false},
        {"version 2", {0x08, 2, 0x62, 0}, 4, false},
        {"no kind", {0x08, 1}, 2, false},
        {"reserved kind 3", {0x08, 1, 0x1a, 0}, 4, false},
        {"unknown kind 60", {0x08, 1, 0xe2, 0x03, 0}, 5, false},
        {"the same kind twice", {0x08, 1, 0x62, 0, 0x62, 0}, 6, false},
        {"two kinds", {0x08, 1, 0x62, 0, 0x5a, 0}, 6, false},
        {"field number 0", {0x08, 1, 0x62, 0, 0x00, 0}, 6, false},
        {"a group", {0x08, 1, 0x62, 0, 0x1b, 0x1c}, 6, false},
        {"wire type 7", {0x08, 1, 0x62, 0, 0x1f, 0}, 6, false},
        {"a length beyond the end", {0x08, 1, 0x62, 1}, 4, false},
        {"a length of 2^63",
         {0x08, 1, 0x62, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
         12,
         false},
        {"a varint without an end",
         {0x08, 1, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0x7f},
         16,
         false},
        {"a cut tag", {0x08, 1, 0x62, 0, 0xff}, 5, false},
        {"a cut fixed32", {0x08, 1, 0x62, 0, 0x1d, 0, 0, 0}, 8, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto_ptr exact = malloc(rows[i].size + 1);
        memcpy(exact, rows[i].data, rows[i].size);
        rmt_auto(rmt_msg) msg = rmt_codec_decode(exact, rows[i].size, &error);
        if ((msg != NULL) != rows[i].good)
            fail_msg("%s: %s", rows[i].what, msg ? "taken" : error.text);
        if (!msg)
            assert_int_equal(error.code, RMT_E_PROTOCOL);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_uid_has_16_bytes),
        cmocka_unit_test(test_an_idempotency_key_may_be_left_out),
        cmocka_unit_test(test_a_chunk_has_an_id_and_a_size),
        cmocka_unit_test(test_ids_are_whole_and_at_most_1024),
        cmocka_unit_test(test_a_bitmap_has_at_most_128_bytes),
        cmocka_unit_test(test_text_keeps_its_limit),
        cmocka_unit_test(test_text_is_utf8_without_nul),
        cmocka_unit_test(test_a_record_has_at_most_256_fields_of_different_names),
        cmocka_unit_test(test_names_of_fields_are_checked),
        cmocka_unit_test(test_a_message_holds_at_most_4096_records),
        cmocka_unit_test(test_a_bomb_of_empty_fields_is_refused),
        cmocka_unit_test(test_a_frame_that_is_as_full_as_it_may_be_is_taken),
        cmocka_unit_test(test_unknown_fields_are_stepped_over_without_a_look_inside),
        cmocka_unit_test(test_a_single_field_given_twice_is_refused),
        cmocka_unit_test(test_another_wire_type_is_refused),
        cmocka_unit_test(test_envelopes_that_break_the_grammar_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
