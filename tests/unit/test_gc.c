#include "store_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "store/rmt_gc.h"
#include "base/rmt_io.h"

static rmt_gc_report_t
s_gc(rmt_store_t *store, int64_t age_s)
{
    rmt_gc_report_t report;
    rmt_error_t error = {0};
    rmt_store_gc(store, age_s, NULL, &report, &error);
    assert_string_equal(error.text, "");
    return report;
}

static void
s_assert_sound(rmt_store_t *store, uint64_t images)
{
    const char *text = NULL;
    const rmt_store_report_t report = fixture_check(store, true, &text);
    assert_string_equal(text, "");
    assert_int_equal(report.images, images);
}

static void
test_what_images_need_stays(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    fixture_image(store, 1, 50);
    fixture_image(store, 1000, 50);
    for (int i = 0; i < 3; i++) {
        const rmt_gc_report_t report = s_gc(store, 0);
        assert_int_equal(report.packs_live, 2);
        assert_int_equal(report.packs_removed, 0);
    }
    s_assert_sound(store, 2);
}

// [2.15]: readers still read what a writer counts as gone.
static void
test_a_removed_image_goes_with_the_second_run(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    rmt_auto(rmt_store) other = fixture_open(*state);
    rmt_error_t error = {0};
    fixture_image(store, 1, 50);
    const rmt_id_t image = fixture_image(store, 1000, 50);
    const rmt_id_t chunk = fixture_put(store, 1000, 1000);
    RMT_OK(rmt_store_image_remove(store, &image, &error));
    assert_int_equal(s_gc(store, 3600).packs_marked, 1);
    assert_int_equal(s_gc(store, 3600).packs_removed, 0); // Too young
    RMT_OK(rmt_store_refresh(other, &error));
    assert_false(rmt_store_has(other, &chunk)); // No base to build on
    rmt_chunk_t read;
    RMT_OK(rmt_store_get(other, &chunk, true, &read, &error));

    const rmt_gc_report_t report = s_gc(store, 0);
    assert_int_equal(report.packs_removed, 1);
    assert_true(report.bytes_removed > 0);
    assert_int_equal(fixture_count(*state, "packs"), 1);
    assert_int_equal(fixture_count(*state, "trash"), 0);
    assert_false(rmt_store_has(store, &chunk));
    s_assert_sound(store, 1);
    s_assert_sound(other, 1);
}

// P15: a capture that asked before the mark and publishes after it keeps its chunks.
static void
test_a_capture_that_runs_meanwhile_loses_nothing(void **state)
{
    rmt_auto(rmt_store) capture = fixture_open(*state);
    rmt_auto(rmt_store) store = fixture_open(*state);
    rmt_error_t error = {0};
    const rmt_id_t image = fixture_image(store, 1, 20);
    RMT_OK(rmt_store_refresh(capture, &error));
    const rmt_id_t chunk = fixture_put(store, 1, 1000);
    assert_true(rmt_store_has(capture, &chunk));
    RMT_OK(rmt_store_image_remove(store, &image, &error));
    assert_int_equal(s_gc(store, 3600).packs_marked, 1);

    fixture_image(capture, 1, 20);
    assert_int_equal(fixture_count(*state, "packs"), 1); // It built on what was there
    const rmt_gc_report_t report = s_gc(store, 0);
    assert_int_equal(report.packs_revived, 1);
    assert_int_equal(report.packs_removed, 0);
    assert_int_equal(fixture_count(*state, "trash"), 0);
    s_assert_sound(store, 1);
}

typedef struct {
    rmt_store_t *capture;
    int count; // Of calls
} publish_t;

// In the middle of the marking, which does not keep it waiting.
static bool
s_publish(void *context, uint64_t done, uint64_t total)
{
    (void) done;
    (void) total;
    publish_t *self = context;
    if (self->count++ == 10) {
        fixture_image(self->capture, 1, 20);
        fixture_image(self->capture, 5000, 20);
    }
    return true;
}

// P15, [2.25]: images that come while others are read keep all that they are built on,
// were it in packs whose time is over.
static void
test_images_published_while_others_are_marked_lose_nothing(void **state)
{
    rmt_auto(rmt_store) capture = fixture_open(*state);
    rmt_auto(rmt_store) store = fixture_open(*state);
    rmt_error_t error = {0};
    const rmt_id_t image = fixture_image(store, 1, 20);
    fixture_image(store, 1000, 50);
    RMT_OK(rmt_store_refresh(capture, &error));
    RMT_OK(rmt_store_image_remove(store, &image, &error));
    assert_int_equal(s_gc(store, 3600).packs_marked, 1);

    publish_t publish = {.capture = capture};
    const rmt_store_watch_t watch = {.alive = s_publish, .context = &publish};
    rmt_gc_report_t report = {0};
    alarm(60); // A wait for itself would last
    rmt_store_gc(store, 0, &watch, &report, &error);
    alarm(0);
    assert_string_equal(error.text, "");
    assert_true(publish.count > 10);
    assert_int_equal(report.packs_removed, 0);
    assert_int_equal(report.packs_revived, 1);
    assert_int_equal(report.packs_live, 3);
    assert_int_equal(fixture_count(*state, "trash"), 0);
    s_assert_sound(store, 3);
}

// What an earlier run of the same instance has marked does not count in the next one.
static void
test_marks_of_an_earlier_run_are_forgotten(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    rmt_error_t error = {0};
    const rmt_id_t image = fixture_image(store, 1, 20);
    assert_int_equal(s_gc(store, 0).packs_live, 1);
    RMT_OK(rmt_store_image_remove(store, &image, &error));
    assert_int_equal(s_gc(store, 0).packs_marked, 1);
    assert_int_equal(s_gc(store, 0).packs_removed, 1);
}

// [2.15]: One that asks after the mark stores again, and the old pack may go.
static void
test_a_capture_that_starts_later_does_not_build_on_trash(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    rmt_error_t error = {0};
    const rmt_id_t image = fixture_image(store, 1, 20);
    RMT_OK(rmt_store_image_remove(store, &image, &error));
    assert_int_equal(s_gc(store, 3600).packs_marked, 1);
    rmt_auto(rmt_store) capture = fixture_open(*state);
    size_t size = 0;
    rmt_auto_ptr data = fixture_descriptor(capture, 1, 20, &size);
    assert_int_equal(s_gc(store, 0).packs_removed, 1);
    rmt_id_t id;
    RMT_OK(rmt_store_image_put(capture, data, size, &id, &error));
    s_assert_sound(store, 1);
}

static void
test_what_dead_writers_left_is_swept_and_the_living_kept(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    rmt_auto(rmt_store) writer = fixture_open(*state);
    fixture_put(writer, 1, 1000);
    static const char image[] = "images/01aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                "aaaaaaaaaaaaaaaaaaaaaaaa.AbCd12";
    static const char *const left[] = {
        "tmp/00112233445566778899aabbccddeeff/half",
        "index/00112233445566778899aabbccddeeff.new",
        image,
    };
    rmt_error_t error = {0};
    for (size_t i = 0; i < 3; i++) {
        rmt_auto_str path = rmt_text("%s/%s", (char *) *state, left[i]);
        rmt_auto_str folder = rmt_text("%s", path);
        *strrchr(folder, '/') = '\0';
        RMT_OK(rmt_io_mkdirs(folder, 0700, &error));
        RMT_OK(rmt_io_save(path, "half", 4, 0600, &error));
    }
    assert_int_equal(fixture_check(store, false, NULL).orphan_files, 1);
    assert_int_equal(s_gc(store, 3600).left_behind, 3);
    assert_int_equal(fixture_count(*state, "tmp"), 1);
    RMT_OK(rmt_store_commit(writer, &error));
    s_assert_sound(writer, 0);
}

static void
test_packs_without_an_index_get_one(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    fixture_image(store, 1, 30);
    rmt_auto_str index = fixture_file(*state, "index", 0);
    assert_int_equal(unlink(index), 0);
    rmt_auto(rmt_store) again = fixture_open(*state);
    assert_int_equal(s_gc(again, 0).packs_live, 1);
    s_assert_sound(again, 1);
}

static void
test_a_damaged_index_is_replaced(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    fixture_image(store, 1, 30);
    rmt_auto_str index = fixture_file(*state, "index", 0);
    fixture_flip(index, 8 * 100);
    rmt_auto(rmt_store) again = fixture_open(*state);
    assert_int_equal(s_gc(again, 0).packs_live, 1);
    assert_int_not_equal(access(index, F_OK), 0);
    s_assert_sound(again, 1);
}

// [2.17]: When it is not known what an image needs, nothing is thrown away.
static void
test_an_unreadable_image_stops_it(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    fixture_image(store, 1, 10);
    fixture_put(store, 99, 1000);
    rmt_error_t error = {0};
    RMT_OK(rmt_store_commit(store, &error));
    rmt_auto_str image = fixture_file(*state, "images", 0);
    fixture_flip(image, 8);
    rmt_gc_report_t report;
    for (int i = 0; i < 2; i++) {
        RMT_FAILS(rmt_store_gc(store, 0, NULL, &report, &error), RMT_E_CORRUPT);
    }
    assert_int_equal(fixture_count(*state, "packs"), 2);
    assert_int_equal(fixture_count(*state, "trash"), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_images_need_stays),
        CASE(test_a_removed_image_goes_with_the_second_run),
        CASE(test_a_capture_that_runs_meanwhile_loses_nothing),
        CASE(test_images_published_while_others_are_marked_lose_nothing),
        CASE(test_marks_of_an_earlier_run_are_forgotten),
        CASE(test_a_capture_that_starts_later_does_not_build_on_trash),
        CASE(test_what_dead_writers_left_is_swept_and_the_living_kept),
        CASE(test_packs_without_an_index_get_one),
        CASE(test_a_damaged_index_is_replaced),
        CASE(test_an_unreadable_image_stops_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
