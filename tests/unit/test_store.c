// lib/store: chunks, packs, indexes and images, with several writers.
#include "store_fixture.h"
#include "tools/rmt_child.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "store/rmt_slot.h"
#include "wire/rmt_codec.h"

static void
test_a_missing_store_is_told_and_made_on_wish(void **state)
{
    rmt_error_t error = {0};
    rmt_auto_str root = rmt_text("%s/deep/er", (char *) *state);
    RMT_FAILS(rmt_store_new(root, false, &error), RMT_E_NOT_FOUND);
    rmt_auto(rmt_store) store = fixture_open(root);
    rmt_auto(rmt_store) again = rmt_store_new(root, false, &error);
    assert_non_null(store);
    assert_non_null(again);
    fixture_assert_sound(again);
}

// [2.2]: the reader does not guess.
static void
test_an_unknown_format_is_refused(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    assert_non_null(store);
    rmt_auto_str path = rmt_text("%s/format", (char *) *state);
    rmt_error_t error = {0};
    RMT_OK(rmt_io_save(path, "ramet-store 2 0\n", 16, 0600, &error));
    RMT_FAILS(rmt_store_new(*state, true, &error), RMT_E_UNSUPPORTED);
}

static void
test_chunks_are_read_before_and_after_the_commit(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    rmt_auto(rmt_store) other = fixture_open(*state);
    static const size_t sizes[] = {1, 100, 5000, 65536, RMT_CHUNK_PLAIN_MAX};
    rmt_id_t ids[10];
    rmt_error_t error = {0};
    for (size_t i = 0; i < 10; i++) {
        ids[i] = fixture_put(store, i, sizes[i % 5]);
        assert_true(rmt_store_has(store, &ids[i]));
        fixture_assert_readable(store, &ids[i]);
        assert_false(rmt_store_has(other, &ids[i]));
    }
    RMT_OK(rmt_store_commit(store, &error));
    RMT_OK(rmt_store_refresh(other, &error));
    for (size_t i = 0; i < 10; i++) {
        fixture_assert_readable(store, &ids[i]);
        fixture_assert_readable(other, &ids[i]);
    }
    rmt_id_t absent = ids[0];
    absent.bytes[9] ^= 1;
    rmt_chunk_t chunk;
    assert_false(rmt_store_has(store, &absent));
    RMT_FAILS(rmt_store_get(store, &absent, true, &chunk, &error), RMT_E_NOT_FOUND);
    assert_int_equal(fixture_count(*state, "tmp"), 0);
    fixture_assert_sound(store);
}

static void
test_what_is_there_is_not_written_again(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    rmt_error_t error = {0};
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < 50; i++) {
            fixture_put(store, i, 3000);
            fixture_put(store, i, 3000);
        }
        RMT_OK(rmt_store_commit(store, &error));
    }
    assert_int_equal(fixture_count(*state, "packs"), 1);
    assert_int_equal(fixture_check(store, false, NULL).chunks, 50);
}

static void
test_a_rollback_leaves_nothing(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    rmt_error_t error = {0};
    const rmt_id_t kept = fixture_put(store, 1, 1000);
    RMT_OK(rmt_store_commit(store, &error));
    const rmt_id_t gone = fixture_put(store, 2, 1000);
    rmt_store_rollback(store);
    assert_true(rmt_store_has(store, &kept));
    assert_false(rmt_store_has(store, &gone));
    RMT_OK(rmt_store_commit(store, &error));
    assert_int_equal(fixture_count(*state, "packs"), 1);
    assert_int_equal(fixture_count(*state, "tmp"), 0);
    fixture_put(store, 2, 1000);
    RMT_OK(rmt_store_commit(store, &error));
    assert_true(rmt_store_has(store, &gone));
}

static void
test_packs_roll_over_and_stay_under_their_size(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    rmt_error_t error = {0};
    rmt_id_t ids[150];
    for (uint64_t i = 0; i < 150; i++)
        ids[i] = fixture_put(store, 2 * i, RMT_CHUNK_PLAIN_MAX); // None shrinks
    for (size_t i = 0; i < 150; i += 7)
        fixture_assert_readable(store, &ids[i]);
    RMT_OK(rmt_store_commit(store, &error));
    assert_int_equal(fixture_count(*state, "packs"), 3);
    for (size_t i = 0; i < 3; i++) {
        rmt_auto_str path = fixture_file(*state, "packs", i);
        assert_true(fixture_size(path) <= 64 << 20);
    }
    for (size_t i = 0; i < 150; i += 7)
        fixture_assert_readable(store, &ids[i]);
    fixture_assert_sound(store);
}

static void
test_many_commits_leave_few_indexes(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    rmt_auto(rmt_store) other = fixture_open(*state);
    rmt_error_t error = {0};
    rmt_id_t ids[60];
    for (uint64_t i = 0; i < 60; i++) {
        ids[i] = fixture_put(store, i, 500 + i);
        RMT_OK(rmt_store_commit(store, &error));
    }
    assert_true(fixture_count(*state, "index") <= 9);
    RMT_OK(rmt_store_refresh(other, &error));
    for (size_t i = 0; i < 60; i++) {
        fixture_assert_readable(store, &ids[i]);
        fixture_assert_readable(other, &ids[i]);
    }
    fixture_assert_sound(store);
}

static const char s_vector_name[] = "000102030405060708090a0b0c0d0e0f";
static const char s_pack_vector[] =
    "72616d65742d706b0100000000000000000102030405060708090a0b0c0d0e0f"
    "01e8662242585293da5d60854bfb05e24677f00419e9bd9aef7845f83b6aa7ad"
    "860000000500000005000000670f48c372616d657401e8662242585293da5d60"
    "854bfb05e24677f00419e9bd9aef7845f83b6aa7ad8600000005000000050000"
    "00670f48c3200000000000000072616d65742d70655500000000000000010000"
    "000000000001a56f93deea7c096e5b7c1a0972da4b76ba0337bcb67f878cfc91"
    "329668e4152f00000000000000";
static const char s_index_vector[] =
    "72616d65742d6978010000000000000001e8662242585293da5d60854bfb05e2"
    "4677f00419e9bd9aef7845f83b6aa7ad860000000500000005000000670f48c3"
    "2000000000000000000102030405060708090a0b0c0d0e0fcd00000000000000"
    "72616d65742d696501000000000000000100000000000000012c0f5ca4ba7637"
    "d9f0b0d7537e83965f2d80287eb69c0b42e20d11af75cce20800000000000000";

static void
s_save_hex(const char *root, const char *folder, const char *hex)
{
    uint8_t data[512];
    const size_t size = strlen(hex) / 2;
    assert_true(size <= sizeof data);
    for (size_t i = 0; i < size; i++) {
        const char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        data[i] = (uint8_t) strtoul(digits, NULL, 16);
    }
    rmt_auto_str path = rmt_text("%s/%s/%s", root, folder, s_vector_name);
    rmt_error_t error = {0};
    RMT_OK(rmt_io_save(path, data, size, 0600, &error));
}

static void
test_the_pack_and_index_of_the_vectors_are_read(void **state)
{
    rmt_auto(rmt_store) empty = fixture_open(*state);
    assert_non_null(empty);
    s_save_hex(*state, "packs", s_pack_vector);
    s_save_hex(*state, "index", s_index_vector);
    rmt_auto(rmt_store) store = fixture_open(*state);
    fixture_assert_sound(store);
    rmt_id_t id;
    rmt_id_compute(&id, "ramet", 5);
    size_t size = 0;
    static uint8_t room[RMT_CHUNK_PLAIN_MAX];
    rmt_error_t error = {0};
    RMT_OK(rmt_store_read(store, &id, room, &size, &error));
    assert_int_equal(size, 5);
    assert_memory_equal(room, "ramet", 5);
}

static void
test_the_checksum_is_that_of_the_vectors(void **state)
{
    (void) state;
    assert_int_equal(rmt_slot_sum("ramet", 5), 0xc3480f67);
    assert_int_equal(rmt_slot_sum("01234567", 8), 0x6e604be1);
    assert_int_equal(rmt_slot_sum("0123456789", 10), 0xdf6db1e8);
}

static void
s_assert_all_there(const char *root, uint64_t count)
{
    rmt_auto(rmt_store) store = fixture_open(root);
    rmt_auto_str copy = rmt_text("%s/copy", root);
    rmt_auto(rmt_store) names = fixture_open(copy);
    for (uint64_t i = 0; i < count; i++) {
        const rmt_id_t id = fixture_put(names, i, 400);
        fixture_assert_readable(store, &id);
    }
    fixture_assert_sound(store);
}

// Ranges overlap, so that the same chunks come from both sides.
static void
test_threads_share_a_store(void **state)
{
    fixture_writing_t jobs[3] = {{*state, 0}, {*state, 250}, {*state, 500}};
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fixture_write_many, &jobs[i]),
                         0);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    s_assert_all_there(*state, 1000);
}

// [2.14]: no slot is lost when indexes are merged.
static void
test_processes_share_a_store(void **state)
{
    pid_t children[3];
    for (size_t i = 0; i < 3; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            fixture_writing_t job = {*state, i * 250};
            fixture_write_many(&job);
            rmt_child_end(0);
        }
    }
    for (size_t i = 0; i < 3; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    s_assert_all_there(*state, 1000);
}

static void
test_images_are_kept_listed_and_removed(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    rmt_error_t error = {0};
    size_t size = 0, back_size = 0;
    rmt_auto_ptr data = fixture_descriptor(store, 1, 100, &size);
    rmt_id_t id, expected;
    RMT_OK(rmt_store_image_put(store, data, size, &id, &error));
    RMT_OK(rmt_store_image_put(store, data, size, &id, &error));
    rmt_id_compute(&expected, data, size);
    assert_true(rmt_id_equal(&id, &expected));

    rmt_auto(rmt_store) other = fixture_open(*state);
    rmt_auto_ptr back = NULL;
    RMT_OK(rmt_store_image_get(other, &id, &back, &back_size, &error));
    assert_int_equal(back_size, size);
    assert_memory_equal(back, data, size);
    rmt_auto(rmt_records) list = rmt_store_image_list(other, &error);
    char text[RMT_ID_TEXT_SIZE];
    assert_int_equal(rmt_records_count(list), 1);
    assert_non_null(rmt_records_find(list, "id", rmt_id_text(&id, text)));
    assert_int_equal(rmt_record_u64(rmt_records_at(list, 0), "size", 0), size);
    const rmt_store_report_t report = fixture_check(other, true, NULL);
    assert_int_equal(report.images, 1);
    assert_true(report.chunks >= 100 + 3); // Files, facts, manifest and its root

    RMT_OK(rmt_store_image_remove(other, &id, &error));
    RMT_FAILS(rmt_store_image_get(other, &id, &back, &back_size, &error),
              RMT_E_NOT_FOUND);
    RMT_FAILS(rmt_store_image_remove(other, &id, &error), RMT_E_NOT_FOUND);
}

// [2.23]: the image gets no name.
static void
test_an_image_that_lacks_something_is_refused(void **state)
{
    rmt_auto(rmt_store) full = fixture_open(*state);
    size_t size = 0;
    rmt_auto_ptr data = fixture_descriptor(full, 1, 10, &size);
    rmt_error_t error = {0};
    RMT_OK(rmt_store_commit(full, &error));

    // A store that has all but one pack: here, nothing of what it needs.
    rmt_auto_str bare = rmt_text("%s/bare", (char *) *state);
    rmt_auto(rmt_store) empty = fixture_open(bare);
    rmt_id_t id;
    RMT_FAILS(rmt_store_image_put(empty, data, size, &id, &error), RMT_E_CORRUPT);
    assert_int_equal(fixture_count(bare, "images"), 0);
    RMT_FAILS(rmt_store_image_put(full, "\xff\xff", 2, &id, &error), RMT_E_CORRUPT);
}

// [2.23]: The pack went away behind the back of an instance that knows it.
static void
test_publishing_looks_again_whether_packs_are_there(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    size_t size = 0;
    rmt_auto_ptr data = fixture_descriptor(store, 1, 10, &size);
    rmt_error_t error = {0};
    RMT_OK(rmt_store_commit(store, &error));
    rmt_auto_str pack = fixture_file(*state, "packs", 0);
    assert_int_equal(unlink(pack), 0);
    rmt_id_t id;
    RMT_FAILS(rmt_store_image_put(store, data, size, &id, &error), RMT_E_CORRUPT);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

// [5.3]: not even one that holds nothing else.
static void
test_a_volume_without_a_root_is_no_image(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    rmt_error_t error = {0};
    rmt_id_t id;
    rmt_auto(rmt_records) records = rmt_records_new();
    rmt_record_set(rmt_records_add(records), "class", "image");
    rmt_record_set(rmt_records_add(records), "class", "volume");
    rmt_auto(zchunk) packed = rmt_codec_pack_records(records);
    RMT_FAILS(
        rmt_store_image_put(store, zchunk_data(packed), zchunk_size(packed), &id, &error),
        RMT_E_CORRUPT);
    assert_non_null(strstr(error.text, "a volume has no root"));
    assert_int_equal(fixture_count(*state, "images"), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_missing_store_is_told_and_made_on_wish),
        CASE(test_an_unknown_format_is_refused),
        CASE(test_chunks_are_read_before_and_after_the_commit),
        CASE(test_what_is_there_is_not_written_again),
        CASE(test_a_rollback_leaves_nothing),
        CASE(test_packs_roll_over_and_stay_under_their_size),
        CASE(test_many_commits_leave_few_indexes),
        CASE(test_the_pack_and_index_of_the_vectors_are_read),
        cmocka_unit_test(test_the_checksum_is_that_of_the_vectors),
        CASE(test_threads_share_a_store),
        CASE(test_processes_share_a_store),
        CASE(test_images_are_kept_listed_and_removed),
        CASE(test_an_image_that_lacks_something_is_refused),
        CASE(test_publishing_looks_again_whether_packs_are_there),
        CASE(test_a_volume_without_a_root_is_no_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
