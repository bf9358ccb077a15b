// lib/store: writers that were killed, files that are damaged or gone, writes that fail.
#include "store_fixture.h"
#include "tools/rmt_wait.h"

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

// P13 [2.12]: kill -9 at any moment; what was committed is there, the rest does no
// harm.
static void
test_a_killed_writer_leaves_a_sound_store(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    rmt_error_t error = {0};
    const rmt_id_t image = fixture_image(store, 7000, 20);
    for (int wait_ms = 1; wait_ms < 40; wait_ms += 4) {
        const pid_t child = fork();
        if (child == 0) {
            fixture_writing_t job = {*state, (uint64_t) wait_ms * 100000};
            fixture_write_many(&job);
            _exit(0);
        }
        rmt_pause(wait_ms, "each writer dies at another moment");
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        const char *text = NULL;
        const rmt_store_report_t report = fixture_check(store, true, &text);
        assert_int_equal(report.missing + report.damaged, 0);
        assert_int_equal(report.images, 1);
    }
    void *data = NULL;
    size_t size = 0;
    RMT_OK(rmt_store_image_get(store, &image, &data, &size, &error));
    free(data);
}

// [2.11]: the pack counts as if it were not listed.
static void
test_an_index_without_its_pack_is_told_and_healed_by_a_put(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    rmt_error_t error = {0};
    fixture_image(store, 1, 10);
    rmt_auto_str pack = fixture_file(*state, "packs", 0);
    assert_int_equal(unlink(pack), 0);

    rmt_auto(rmt_store) again = fixture_open(*state);
    const char *text = NULL;
    rmt_store_report_t report = fixture_check(again, false, &text);
    assert_true(report.missing >= 2); // The pack, the manifest
    assert_non_null(strstr(text, strrchr(pack, '/') + 1));
    const rmt_id_t id = fixture_put(again, 1, 1000);
    RMT_OK(rmt_store_commit(again, &error));
    fixture_assert_readable(again, &id);
    fixture_image(again, 1, 10);
    report = fixture_check(again, true, &text);
    assert_int_equal(report.missing, 1); // The pack alone
    assert_int_equal(report.damaged, 0);
}

// [2.11]: the pack counts as if it were not listed.
static void
test_a_truncated_pack_is_told(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    fixture_image(store, 1, 10);
    rmt_auto_str pack = fixture_file(*state, "packs", 0);
    assert_int_equal(truncate(pack, (off_t) fixture_size(pack) - 100), 0);
    rmt_auto(rmt_store) again = fixture_open(*state);
    const char *text = NULL;
    const rmt_store_report_t report = fixture_check(again, false, &text);
    assert_int_equal(report.damaged, 1);
    assert_true(report.missing > 0);
    assert_non_null(strstr(text, pack));
    const rmt_id_t id = fixture_put(again, 1, 1000);
    fixture_assert_readable(again, &id);
}

static void
test_a_pack_without_an_index_is_told(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    rmt_error_t error = {0};
    const rmt_id_t id = fixture_put(store, 1, 1000);
    RMT_OK(rmt_store_commit(store, &error));
    rmt_auto_str index = fixture_file(*state, "index", 0);
    assert_int_equal(unlink(index), 0);
    rmt_auto(rmt_store) again = fixture_open(*state);
    assert_false(rmt_store_has(again, &id));
    const rmt_store_report_t report = fixture_check(again, true, NULL);
    assert_int_equal(report.orphan_files, 1);
    assert_int_equal(report.damaged + report.missing, 0);
}

// [2.3]: each part of the index is damaged in turn.
static void
test_a_damaged_index_is_told_and_the_packs_stand_in(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    const rmt_id_t image = fixture_image(store, 1, 30);
    rmt_auto_str index = fixture_file(*state, "index", 0);
    const size_t bits = fixture_size(index) * 8;
    for (size_t bit = 3; bit < bits; bit += 331) {
        fixture_flip(index, bit);
        rmt_error_t error = {0};
        rmt_store_t *again = rmt_store_new(*state, false, &error);
        if (!again) {
            // A flip in the version or feature bits cannot be told from another format.
            assert_int_equal(error.code, RMT_E_UNSUPPORTED);
        } else {
            void *data = NULL;
            size_t size = 0;
            const char *text = NULL;
            const rmt_store_report_t report = fixture_check(again, false, &text);
            assert_int_equal(report.damaged, 1);
            assert_int_equal(report.missing, 0);
            assert_non_null(strstr(text, index));
            RMT_OK(rmt_store_image_get(again, &image, &data, &size, &error));
            free(data);
        }
        rmt_store_destroy(&again);
        fixture_flip(index, bit);
    }
    fixture_assert_sound(store);
}

// P14 [2.9] [2.10]: a flipped bit anywhere in a pack is found and named, and never
// delivered.
static void
test_a_flipped_bit_in_a_pack_is_found_and_never_delivered(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    rmt_error_t error = {0};
    rmt_id_t ids[12];
    for (uint64_t i = 0; i < 12; i++)
        ids[i] = fixture_put(store, i, 60 + i * 40);
    RMT_OK(rmt_store_commit(store, &error));
    rmt_auto_str pack = fixture_file(*state, "packs", 0);
    const size_t bits = fixture_size(pack) * 8;
    for (size_t bit = 0; bit < bits; bit += 5) {
        fixture_flip(pack, bit);
        const char *text = NULL;
        const rmt_store_report_t report = fixture_check(store, true, &text);
        assert_int_equal(report.damaged, 1);
        assert_non_null(strstr(text, pack));
        size_t refused = 0;
        for (size_t i = 0; i < 12; i++) {
            uint8_t plain[1000];
            size_t size = 0;
            rmt_id_t id;
            if (rmt_store_read(store, &ids[i], plain, &size, &error) == -1) {
                refused++;
                assert_int_equal(error.code, RMT_E_CORRUPT);
                assert_non_null(strstr(error.text, strrchr(pack, '/') + 1));
                continue;
            }
            rmt_id_compute(&id, plain, size);
            assert_true(rmt_id_equal(&id, &ids[i]));
        }
        assert_true(refused <= 1);
        fixture_flip(pack, bit);
    }
    fixture_assert_sound(store);
}

// [2.11] P14: each copy is damaged in turn.
static void
test_a_second_copy_stands_in_for_a_damaged_one(void **state)
{
    rmt_auto(rmt_store) a = fixture_open(*state);
    rmt_auto(rmt_store) b = fixture_open(*state);
    rmt_error_t error = {0};
    const rmt_id_t id = fixture_put(a, 1, 1000);
    fixture_put(b, 1, 1000);
    RMT_OK(rmt_store_commit(a, &error));
    RMT_OK(rmt_store_commit(b, &error));
    assert_int_equal(fixture_count(*state, "packs"), 2);
    for (size_t i = 0; i < 2; i++) {
        rmt_auto_str pack = fixture_file(*state, "packs", i);
        fixture_flip(pack, 8 * 200);
        fixture_assert_readable(b, &id);
        fixture_flip(pack, 8 * 200);
    }
}

static void
test_a_damaged_image_is_told_and_not_delivered(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    const rmt_id_t id = fixture_image(store, 1, 3);
    rmt_auto_str path = fixture_file(*state, "images", 0);
    const size_t bits = fixture_size(path) * 8;
    for (size_t bit = 0; bit < bits; bit += 7) {
        fixture_flip(path, bit);
        void *data = NULL;
        size_t size = 0;
        rmt_error_t error = {0};
        RMT_FAILS(rmt_store_image_get(store, &id, &data, &size, &error), RMT_E_CORRUPT);
        const char *text = NULL;
        assert_int_equal(fixture_check(store, false, &text).damaged, 1);
        assert_non_null(strstr(text, strrchr(path, '/') + 1));
        fixture_flip(path, bit);
    }
    fixture_assert_sound(store);
}

// [2.13]: A disk that is full is told, and the next attempt starts clean.
static void
test_a_failed_write_is_final_until_the_rollback(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    rmt_error_t error = {0};
    fixture_put(store, 1, 1000);
    rmt_auto_str batch = fixture_file(*state, "tmp", 0);
    RMT_OK(rmt_io_remove_tree(batch, &error));
    RMT_FAILS(rmt_store_commit(store, &error), RMT_E_NOT_FOUND);
    RMT_FAILS(rmt_store_commit(store, &error), RMT_E_IO);
    rmt_store_rollback(store);
    const rmt_id_t id = fixture_put(store, 1, 1000);
    RMT_OK(rmt_store_commit(store, &error));
    fixture_assert_readable(store, &id);
    fixture_assert_sound(store);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_killed_writer_leaves_a_sound_store),
        CASE(test_an_index_without_its_pack_is_told_and_healed_by_a_put),
        CASE(test_a_truncated_pack_is_told),
        CASE(test_a_pack_without_an_index_is_told),
        CASE(test_a_damaged_index_is_told_and_the_packs_stand_in),
        CASE(test_a_flipped_bit_in_a_pack_is_found_and_never_delivered),
        CASE(test_a_second_copy_stands_in_for_a_damaged_one),
        CASE(test_a_damaged_image_is_told_and_not_delivered),
        CASE(test_a_failed_write_is_final_until_the_rollback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
