// lib/wire: messages survive the way there and back, and nothing else does (P16).
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "wire/rmt_arena.h"
#include "wire/rmt_codec.h"
#include "base/rmt_io.h"

#include <string.h>

static const rmt_msg_kind_t s_kinds[] = {
    RMT_MSG_HELLO,    RMT_MSG_WELCOME, RMT_MSG_BEAT,     RMT_MSG_CREDIT, RMT_MSG_TASK,
    RMT_MSG_PROGRESS, RMT_MSG_RESULT,  RMT_MSG_RECORDED, RMT_MSG_CANCEL, RMT_MSG_PEERS,
    RMT_MSG_REQUEST,  RMT_MSG_REPLY,   RMT_MSG_EVENT,    RMT_MSG_ENROL,  RMT_MSG_ENROLLED,
    RMT_MSG_REFUSED,  RMT_MSG_NOTICE,  RMT_MSG_OPEN,     RMT_MSG_OPENED, RMT_MSG_OFFER,
    RMT_MSG_WANT,     RMT_MSG_CHUNK,   RMT_MSG_ACK,      RMT_MSG_SEAL,   RMT_MSG_SEALED,
    RMT_MSG_FETCH,    RMT_MSG_ABSENT,  RMT_MSG_LATER,    RMT_MSG_CHUNKS, RMT_MSG_WHOLE,
};

// Every field set to something of its own, whether the kind has it or not.
static rmt_msg_t *
s_full(rmt_msg_kind_t kind)
{
    rmt_msg_t *msg = rmt_msg_new(kind);
    msg->sequence = 77;
    uint32_t *const numbers[] = {
        &msg->version, &msg->version_min, &msg->version_max, &msg->era,   &msg->beat_ms,
        &msg->slots,   &msg->attempt,     &msg->code,        &msg->codec, &msg->size};
    for (uint32_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        *numbers[i] = 100000 + i;
    msg->epoch = UINT64_MAX;
    msg->done = UINT64_C(1) << 40;
    msg->total = UINT64_C(1) << 41;
    msg->window = UINT64_C(1) << 42;
    msg->serial = UINT64_C(1) << 43;
    memset(msg->task, 0xab, sizeof msg->task);
    memset(msg->job, 0xac, sizeof msg->job);
    memset(msg->nonce, 0xad, sizeof msg->nonce);
    memset(msg->idempotency, 0xae, sizeof msg->idempotency);
    memset(msg->id, 0x55, sizeof msg->id);
    msg->id[0] = 1;
    char **const texts[] = {&msg->role,  &msg->name,  &msg->service, &msg->phase,
                            &msg->text,  &msg->place, &msg->verb,    &msg->cursor,
                            &msg->topic, &msg->token};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        rmt_auto_str text = rmt_text("text-%zu-\xc3\xa4", i);
        rmt_msg_text(texts[i], text);
    }
    rmt_record_put(rmt_msg_body(msg), "bytes", "\0\xff\n", 3);
    rmt_record_set(rmt_records_add(rmt_msg_items(msg)), "target", "n01");
    rmt_records_add(msg->items);
    msg->hand = rmt_records_dup(msg->items);
    const uint8_t ids[2 * 33] = {[0] = 1, [33] = 1};
    msg->ids = zchunk_new(ids, sizeof ids);
    msg->bitmap = zchunk_new("\x05", 1);
    return msg;
}

// [1.9]: the same message has the same bytes.
static void
test_every_kind_comes_back_as_it_went(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof s_kinds / sizeof *s_kinds; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_msg) msg = s_full(s_kinds[i]);
        rmt_auto(zframe) frame = rmt_codec_encode(msg);
        rmt_auto(rmt_msg) back =
            rmt_codec_decode(zframe_data(frame), zframe_size(frame), &error);
        RMT_OK(back);
        assert_int_equal(back->kind, s_kinds[i]);
        assert_int_equal(back->sequence, 77);
        rmt_auto(zframe) again = rmt_codec_encode(back);
        assert_true(zframe_eq(frame, again));
    }
}

static void
test_fields_keep_their_values(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) msg = s_full(RMT_MSG_TASK);
    rmt_auto(zframe) frame = rmt_codec_encode(msg);
    rmt_auto(rmt_msg) back =
        rmt_codec_decode(zframe_data(frame), zframe_size(frame), &error);
    RMT_OK(back);
    assert_memory_equal(back->task, msg->task, sizeof msg->task);
    assert_true(back->epoch == UINT64_MAX);
    assert_int_equal(back->attempt, msg->attempt);
    assert_string_equal(back->service, msg->service);
    assert_true(rmt_record_equal(back->body, msg->body));
}

static void
test_every_kind_has_a_name_of_its_own(void **state)
{
    (void) state;
    const size_t count = sizeof s_kinds / sizeof *s_kinds;
    for (size_t i = 0; i < count; i++) {
        const char *name = rmt_msg_kind_name(s_kinds[i]);
        assert_string_not_equal(name, "unknown");
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(name, rmt_msg_kind_name(s_kinds[k]));
    }
    static const int none[] = {0, 9, 27, 39, 53, 1000, -1};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_string_equal(rmt_msg_kind_name((rmt_msg_kind_t) none[i]), "unknown");
}

static void
test_an_empty_message_has_no_null_after_the_way(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_REQUEST);
    rmt_auto(zframe) frame = rmt_codec_encode(msg);
    rmt_auto(rmt_msg) back =
        rmt_codec_decode(zframe_data(frame), zframe_size(frame), &error);
    RMT_OK(back);
    assert_string_equal(back->verb, "");
    assert_string_equal(back->cursor, "");
    assert_int_equal(rmt_record_count(back->body), 0);
    assert_int_equal(rmt_records_count(back->items), 0);
    assert_null(back->service); // A Request has none
    assert_null(back->hand);
}

// [1.14]: a message is not lost for its words.
static void
test_prose_is_made_to_fit(void **state)
{
    (void) state;
    char longer[5001];
    memset(longer, 'x', sizeof longer);
    longer[5000] = '\0';
    memcpy(longer + 4095, "\xc3\xa4", 2); // The limit falls into a character
    const struct {
        const char *given, *first;
        size_t size;
    } rows[] = {
        {"open \xe4\xffx: no", "open ??x: no", 12},
        {"\xc3\xa4\xc3", "\xc3\xa4?", 3},
        {longer, "xxx", 4096},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_RESULT);
        rmt_msg_text(&msg->text, rows[i].given);
        rmt_auto(zframe) frame = rmt_codec_encode(msg);
        rmt_auto(rmt_msg) back =
            rmt_codec_decode(zframe_data(frame), zframe_size(frame), &error);
        RMT_OK(back);
        assert_memory_equal(back->text, rows[i].first, strlen(rows[i].first));
        assert_int_equal(strlen(back->text), rows[i].size);
    }
}

static void
test_a_uid_comes_back_from_its_text(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    uint8_t uid[RMT_UID_SIZE], back[RMT_UID_SIZE];
    char text[34] = "";
    for (size_t i = 0; i < sizeof uid; i++)
        uid[i] = (uint8_t) (i * 17);
    RMT_OK(rmt_uid_parse(back, rmt_uid_text(uid, text), &error));
    assert_memory_equal(uid, back, sizeof uid);
    text[31] = 'A';
    RMT_FAILS(rmt_uid_parse(back, text, &error), RMT_E_USAGE);
    assert_memory_equal(uid, back, sizeof uid);
    strcpy(text, "abc");
    RMT_FAILS(rmt_uid_parse(back, text, &error), RMT_E_USAGE);
}

// [1.15]: the number of records is free.
static void
test_a_long_stored_list_comes_back(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_records) records = rmt_records_new();
    for (unsigned i = 0; i < 50000; i++) {
        rmt_record_t *record = rmt_records_add(records);
        rmt_record_set(record, "class", "fuzzy");
        rmt_record_setf(record, "path", "var/log/%u", i);
    }
    rmt_auto(zchunk) packed = rmt_codec_pack_records(records);
    rmt_auto(rmt_records) back = rmt_codec_unpack_records(
        zchunk_data(packed), zchunk_size(packed), 4 * 1024 * 1024, &error);
    RMT_OK(back);
    assert_int_equal(rmt_records_count(back), 50000);
    assert_true(
        rmt_record_equal(rmt_records_at(back, 49999), rmt_records_at(records, 49999)));
}

static void
test_no_records_are_no_bytes(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_records) none = rmt_records_new();
    rmt_auto(zchunk) packed = rmt_codec_pack_records(none);
    assert_int_equal(zchunk_size(packed), 0);
    rmt_auto(rmt_records) back = rmt_codec_unpack_records(NULL, 0, 0, &error);
    RMT_OK(back);
    assert_int_equal(rmt_records_count(back), 0);
}

static void
test_a_cut_frame_is_refused_or_shorter_at_every_byte(void **state)
{
    (void) state;
    rmt_auto(rmt_msg) msg = s_full(RMT_MSG_REPLY);
    rmt_auto(zframe) frame = rmt_codec_encode(msg);
    for (size_t size = 0; size < zframe_size(frame); size++) {
        rmt_error_t error = {0};
        rmt_auto_ptr copy = malloc(size + 1); // So that a sanitizer sees an overrun
        memcpy(copy, zframe_data(frame), size);
        rmt_auto(rmt_msg) back = rmt_codec_decode(copy, size, &error);
        assert_null(back);
    }
}

static void
test_flipped_bytes_never_crash(void **state)
{
    (void) state;
    rmt_auto(rmt_msg) msg = s_full(RMT_MSG_TASK);
    rmt_auto(zframe) frame = rmt_codec_encode(msg);
    for (size_t i = 0; i < zframe_size(frame); i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            rmt_error_t error = {0};
            zframe_data(frame)[i] ^= (uint8_t) (1u << bit);
            rmt_auto(rmt_msg) back =
                rmt_codec_decode(zframe_data(frame), zframe_size(frame), &error);
            zframe_data(frame)[i] ^= (uint8_t) (1u << bit);
        }
    }
}

static void
test_frames_over_the_limit_are_refused(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto_ptr big = calloc(1, RMT_CONTROL_SIZE_MAX + 1);
    RMT_FAILS(rmt_codec_decode(big, RMT_CONTROL_SIZE_MAX + 1, &error), RMT_E_TOO_BIG);
}

static void
test_a_field_named_twice_is_refused(void **state)
{
    (void) state;
    // Records { Record { Field a, Field a } }
    const uint8_t bytes[] = {0x0a, 10, 0x0a, 3, 0x0a, 1, 'a', 0x0a, 3, 0x0a, 1, 'a'};
    rmt_error_t error = {0};
    RMT_FAILS(rmt_codec_unpack_records(bytes, sizeof bytes, 100, &error), RMT_E_PROTOCOL);
}

// [1.15]: a list says something for its size.
static void
test_a_bomb_of_empty_records_is_refused(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    const size_t size = 200000;
    rmt_auto_ptr bytes = calloc(1, size);
    for (size_t i = 0; i < size; i += 2)
        ((uint8_t *) bytes)[i] = 0x0a; // items { }
    RMT_FAILS(rmt_codec_unpack_records(bytes, size, size, &error), RMT_E_TOO_BIG);
}

static void
test_stored_records_come_back(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_records) records = rmt_records_new();
    rmt_record_set(rmt_records_add(records), "class", "disk");
    rmt_record_set_u64(rmt_records_add(records), "bytes", UINT64_MAX);
    rmt_auto(zchunk) packed = rmt_codec_pack_records(records);
    rmt_auto(rmt_records) back =
        rmt_codec_unpack_records(zchunk_data(packed), zchunk_size(packed), 1000, &error);
    RMT_OK(back);
    assert_int_equal(rmt_records_count(back), 2);
    assert_true(rmt_record_u64(rmt_records_at(back, 1), "bytes", 0) == UINT64_MAX);
    assert_null(
        rmt_codec_unpack_records(zchunk_data(packed), zchunk_size(packed), 5, &error));
}

// P16
static void
test_an_arena_gives_no_more_than_its_budget(void **state)
{
    (void) state;
    rmt_arena_t *arena = rmt_arena_new(100);
    assert_null(rmt_arena_get(arena, 101));
    assert_non_null(rmt_arena_get(arena, 60));
    assert_null(rmt_arena_get(arena, 60));
    rmt_arena_destroy(&arena);
    rmt_arena_destroy(&arena);
    assert_null(arena);
}

static void
test_a_job_has_a_short_name(void **state)
{
    (void) state;
    uint8_t uid[RMT_UID_SIZE] = {0};
    char name[RMT_JOB_TEXT_SIZE];
    assert_string_equal(rmt_job_text(uid, name), "j-aaaaaaaa");
    memset(uid, 0xff, sizeof uid);
    assert_string_equal(rmt_job_text(uid, name), "j-77777777");
}

// By this a sender of many records ends a message in time.
static void
test_the_size_of_a_record_is_foreseen(void **state)
{
    (void) state;
    static char value[20000];
    memset(value, 'x', sizeof value - 1);
    static const size_t sizes[] = {0, 1, 100, 300, sizeof value - 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        rmt_auto(rmt_records) records = rmt_records_new();
        rmt_record_t *record = rmt_records_add(records);
        for (char name = 'a'; name <= 'j'; name++)
            rmt_record_put(record, (const char[]){name, '\0'}, value, sizes[i]);
        rmt_auto(zchunk) packed = rmt_codec_pack_records(records);
        const size_t size = zchunk_size(packed), foreseen = rmt_msg_record_size(record);
        if (foreseen + 2 * 10 + 4 < size || size + 4 * 10 < foreseen)
            fail_msg("%zu bytes were foreseen for %zu", foreseen, size);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_comes_back_as_it_went),
        cmocka_unit_test(test_fields_keep_their_values),
        cmocka_unit_test(test_every_kind_has_a_name_of_its_own),
        cmocka_unit_test(test_an_empty_message_has_no_null_after_the_way),
        cmocka_unit_test(test_prose_is_made_to_fit),
        cmocka_unit_test(test_a_uid_comes_back_from_its_text),
        cmocka_unit_test(test_a_long_stored_list_comes_back),
        cmocka_unit_test(test_no_records_are_no_bytes),
        cmocka_unit_test(test_the_size_of_a_record_is_foreseen),
        cmocka_unit_test(test_a_cut_frame_is_refused_or_shorter_at_every_byte),
        cmocka_unit_test(test_flipped_bytes_never_crash),
        cmocka_unit_test(test_frames_over_the_limit_are_refused),
        cmocka_unit_test(test_a_field_named_twice_is_refused),
        cmocka_unit_test(test_a_bomb_of_empty_records_is_refused),
        cmocka_unit_test(test_stored_records_come_back),
        cmocka_unit_test(test_an_arena_gives_no_more_than_its_budget),
        cmocka_unit_test(test_a_job_has_a_short_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
