// Scrub, verify and the end of images that were taken out of the catalogue (M16, P14,
// P15).
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tools/refuse.h"
#include "base/rmt_auto.h"
#include "store/rmt_gc.h"
#include "base/rmt_io.h"
#include "store/rmt_scrub.h"

#define FILE_COUNT 40

// Counts findings, and stops the work after some signs of life.
typedef struct {
    char text[FIXTURE_TEXT_SIZE];
    size_t with_path;
    char path[64], chunk[RMT_ID_TEXT_SIZE], image[RMT_ID_TEXT_SIZE];
    int lives; // -1: without end
} s_seen_t;

static void
s_note(void *context, const rmt_store_finding_t *finding)
{
    s_seen_t *seen = context;
    fixture_gather(seen->text, finding);
    if (!finding->path)
        return;
    seen->with_path++;
    snprintf(seen->path, sizeof seen->path, "%s", finding->path);
    snprintf(seen->chunk, sizeof seen->chunk, "%s", finding->chunk);
    snprintf(seen->image, sizeof seen->image, "%s", finding->image);
}

static bool
s_lives(void *context, uint64_t done, uint64_t total)
{
    (void) done;
    (void) total;
    s_seen_t *seen = context;
    return seen->lives == -1 || seen->lives-- > 0;
}

static s_seen_t *
s_seen_new(int lives)
{
    s_seen_t *seen = calloc(1, sizeof *seen);
    assert_non_null(seen);
    seen->lives = lives;
    return seen;
}

static int
s_try_scrub(rmt_store_t *store, s_seen_t *seen, rmt_scrub_report_t *report,
            rmt_error_t *error)
{
    const rmt_store_watch_t watch = {s_note, s_lives, seen};
    const rmt_scrub_options_t options = {.watch = &watch};
    return rmt_store_scrub(store, &options, report, error);
}

static rmt_scrub_report_t
s_scrub(rmt_store_t *store, s_seen_t *seen)
{
    rmt_error_t error = {0};
    rmt_scrub_report_t report = {0};
    (void) s_try_scrub(store, seen, &report, &error);
    assert_string_equal(error.text, "");
    return report;
}

// Damage the stored bytes of a chunk in the first pack that holds it.
static void
s_damage(const char *root, const rmt_id_t *id)
{
    for (size_t i = 0;; i++) {
        rmt_auto_str path = fixture_file(root, "packs", i);
        assert_non_null(path);
        rmt_auto_ptr data = NULL;
        size_t size = 0;
        rmt_error_t error = {0};
        RMT_OK(rmt_io_load(path, SIZE_MAX / 2, &data, &size, &error));
        const uint8_t *head = memmem(data, size, id->bytes, RMT_ID_SIZE);
        if (!head)
            continue;
        fixture_flip(path, 8 * ((size_t) (head - (uint8_t *) data) + 48 + 20) + 3);
        return;
    }
}

// The id of what fixture_put makes, without a store.
static rmt_id_t
s_chunk_id(rmt_store_t *store, uint64_t seed)
{
    return fixture_put(store, seed, 1000);
}

static void
test_verify_names_image_chunk_and_file_of_a_flipped_bit(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    const rmt_id_t image = fixture_image(store, 1, FILE_COUNT);
    fixture_image(store, 1000, FILE_COUNT);
    const rmt_id_t chunk = s_chunk_id(store, 1 + 7);
    s_damage(*state, &chunk);
    rmt_auto_ptr room = s_seen_new(-1);
    s_seen_t *seen = room;
    const rmt_store_watch_t watch = {s_note, s_lives, seen};
    rmt_store_report_t report;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) fresh = fixture_open(*state);
    RMT_OK(rmt_store_verify(fresh, &image, &watch, &report, &error));
    assert_int_equal(report.damaged, 1);
    assert_int_equal(report.missing, 0);
    assert_int_equal(seen->with_path, 1);
    assert_string_equal(seen->path, "/file-00007");
    char text[RMT_ID_TEXT_SIZE];
    assert_string_equal(seen->chunk, rmt_id_text(&chunk, text));
    assert_string_equal(seen->image, rmt_id_text(&image, text));
}

static void
test_verify_of_an_image_that_is_not_here_says_so(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    rmt_id_t id;
    rmt_id_compute(&id, "nothing", 7);
    rmt_store_report_t report;
    rmt_error_t error = {0};
    RMT_FAILS(rmt_store_verify(store, &id, NULL, &report, &error), RMT_E_NOT_FOUND);
}

static void
test_a_sound_store_is_left_as_it_is(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    fixture_image(store, 1, FILE_COUNT);
    fixture_image(store, 1000, FILE_COUNT);
    rmt_auto_ptr seen = s_seen_new(-1);
    const rmt_scrub_report_t report = s_scrub(store, seen);
    assert_int_equal(report.packs, 2);
    assert_true(report.chunks > 2 * FILE_COUNT);
    assert_int_equal(report.damaged + report.quarantined + report.missing, 0);
    assert_string_equal(((s_seen_t *) seen)->text, "");
    assert_int_equal(fixture_count(*state, "packs"), 2);
}

// [2.24] P14: what lies aside is not read.
static void
test_a_damaged_chunk_is_put_aside_and_the_sound_ones_stay(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    const rmt_id_t image = fixture_image(store, 1, FILE_COUNT);
    const rmt_id_t chunk = s_chunk_id(store, 1 + 7);
    s_damage(*state, &chunk);
    rmt_auto_ptr room = s_seen_new(-1);
    s_seen_t *seen = room;
    const rmt_scrub_report_t report = s_scrub(store, seen);
    assert_int_equal(report.damaged, 1);
    assert_int_equal(report.quarantined, 1);
    assert_int_equal(report.rescued, report.chunks - 1);
    assert_int_equal(report.missing, 1);
    assert_string_equal(seen->path, "/file-00007");
    assert_int_equal(fixture_count(*state, "quarantine"), 1);
    assert_false(rmt_store_has(store, &chunk));

    // What was rescued is all sound, and the same image made again heals the store.
    rmt_store_report_t checked = fixture_check(store, true, NULL);
    assert_int_equal(checked.damaged, 0);
    assert_int_equal(checked.missing, 1);
    assert_int_equal(checked.quarantined, 1);
    const rmt_id_t again = fixture_image(store, 1, FILE_COUNT);
    assert_true(rmt_id_equal(&image, &again));
    checked = fixture_check(store, true, NULL);
    assert_int_equal(checked.damaged + checked.missing + checked.orphan_files, 0);
}

static void
test_a_pack_whose_list_is_damaged_is_emptied_by_the_index(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    fixture_image(store, 1, FILE_COUNT);
    rmt_auto_str pack = fixture_file(*state, "packs", 0);
    fixture_flip(pack, 8 * (fixture_size(pack) - 80)); // In the trailer
    rmt_auto_ptr seen = s_seen_new(-1);
    const rmt_scrub_report_t report = s_scrub(store, seen);
    assert_int_equal(report.quarantined, 1);
    assert_int_equal(report.missing, 0);
    assert_int_equal(report.rescued, report.chunks);
    const rmt_store_report_t checked = fixture_check(store, true, NULL);
    assert_int_equal(checked.damaged + checked.missing + checked.orphan_files, 0);
}

// The offset of the record of a chunk in the only pack.
static uint32_t
s_offset(const char *root, const rmt_id_t *id)
{
    rmt_auto_str path = fixture_file(root, "packs", 0);
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    rmt_error_t error = {0};
    RMT_OK(rmt_io_load(path, SIZE_MAX / 2, &data, &size, &error));
    const uint8_t *head = memmem(data, size, id->bytes, RMT_ID_SIZE);
    assert_non_null(head);
    return (uint32_t) (head - (uint8_t *) data);
}

// What the child has found, as a text.
static int
s_tell_scrub(void *context, rmt_error_t *error)
{
    rmt_auto_ptr room = s_seen_new(-1);
    rmt_scrub_report_t report = {0};
    if (s_try_scrub(context, room, &report, error) == -1)
        return -1;
    const s_seen_t *seen = room;
    return rmt_fail(error, RMT_E_DISK, "%d damaged %d unread %d quarantined: %.200s",
                    (int) report.damaged, (int) report.unread, (int) report.quarantined,
                    seen->text);
}

static int
s_tell_check(void *context, rmt_error_t *error)
{
    rmt_auto_ptr room = s_seen_new(-1);
    const rmt_store_watch_t watch = {s_note, s_lives, room};
    rmt_store_report_t report = {0};
    if (rmt_store_check(context, true, &watch, &report, error) == -1)
        return -1;
    return rmt_fail(error, RMT_E_DISK, "%d damaged %d unread", (int) report.damaged,
                    (int) report.unread);
}

// P14: nothing is known of what the disk does not read, so it is no damage, and what is
// damaged beside it stays as well: moved away, the whole of the pack would be lost.
static void
test_what_the_disk_refuses_to_read_stays(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    fixture_image(store, 1, FILE_COUNT);
    const rmt_id_t chunk = s_chunk_id(store, 1 + 7), other = s_chunk_id(store, 1 + 3);
    const refusal_t chunk_refused = {SYS_pread64, EIO, 3, UINT32_MAX,
                                     s_offset(*state, &chunk)};
    const refusal_t list_refused = {SYS_pread64, EIO, 3, UINT32_MAX, 0};
    rmt_error_t error = {0};
    (void) refuse_in_child(&chunk_refused, 1, s_tell_scrub, store, &error);
    assert_non_null(strstr(error.text, "0 damaged 1 unread 0 quarantined"));
    assert_non_null(strstr(error.text, "cannot be read from the disk"));
    assert_non_null(strstr(error.text, "Input/output error"));
    (void) refuse_in_child(&chunk_refused, 1, s_tell_check, store, &error);
    assert_string_equal(error.text, "0 damaged 1 unread");
    (void) refuse_in_child(&list_refused, 1, s_tell_scrub, store, &error);
    assert_non_null(strstr(error.text, "0 damaged 1 unread 0 quarantined"));
    s_damage(*state, &other);
    (void) refuse_in_child(&chunk_refused, 1, s_tell_scrub, store, &error);
    assert_non_null(strstr(error.text, "1 damaged 1 unread 0 quarantined"));
    assert_true(rmt_store_has(store, &chunk));
}

static void
test_a_scrub_that_was_cut_short_goes_on_where_it_was(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    for (uint64_t i = 0; i < 4; i++)
        fixture_image(store, 1 + 1000 * i, FILE_COUNT);
    rmt_scrub_report_t report = {0};
    rmt_error_t error = {0};
    rmt_auto_ptr seen = s_seen_new(FILE_COUNT * 2);
    RMT_FAILS(s_try_scrub(store, seen, &report, &error), RMT_E_CANCELLED);
    rmt_auto_ptr again = s_seen_new(-1);
    report = s_scrub(store, again);
    assert_true(report.resumed >= 1 && report.resumed < 4);
    assert_int_equal(report.packs, 4);
    assert_int_equal(s_scrub(store, again).resumed, 0); // It was at its end
}

// What an earlier part of the run could not read is told at its end as well; the record
// of an older program has one number less.
static void
test_what_was_unread_stays_so_when_a_scrub_goes_on(void **state)
{
    static const struct {
        const char *counts;
        uint64_t unread;
    } rows[] = {{"1 2 3 0 0 0 5", 5}, {"1 2 3 0 0 0", 0}};
    rmt_auto(rmt_store) store = fixture_open(*state);
    fixture_image(store, 1, FILE_COUNT);
    rmt_auto_str path = rmt_text("%s/scrub", rmt_store_root(store));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto_str text = rmt_text("ramet-scrub 1\n%032d\n%s\n", 0, rows[i].counts);
        RMT_OK(rmt_io_save(path, text, strlen(text), 0600, &error));
        rmt_auto_ptr seen = s_seen_new(-1);
        const rmt_scrub_report_t report = s_scrub(store, seen);
        assert_int_equal(report.resumed, 1);
        assert_int_equal(report.unread, rows[i].unread);
    }
}

static void
test_one_scrub_at_a_time(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    fixture_image(store, 1, FILE_COUNT);
    rmt_auto_str path = rmt_text("%s/lock.scrub", (char *) *state);
    rmt_auto_ptr seen = s_seen_new(-1);
    rmt_scrub_report_t report = {0};
    rmt_error_t error = {0};
    rmt_auto_fd fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    RMT_FAILS(s_try_scrub(store, seen, &report, &error), RMT_E_UNAVAILABLE);
    assert_int_equal(flock(fd, LOCK_UN), 0);
    assert_int_equal(s_scrub(store, seen).packs, 1);
}

static void
test_a_retired_image_goes_unless_it_was_saved_again(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    const rmt_id_t image = fixture_image(store, 1, FILE_COUNT);
    rmt_error_t error = {0};
    char text[RMT_ID_TEXT_SIZE];
    rmt_auto_str signature =
        rmt_text("%s/images/%s.sig.k", (char *) *state, rmt_id_text(&image, text));
    RMT_OK(rmt_io_save(signature, "s", 1, 0600, &error));
    const int64_t now = time(NULL);
    RMT_OK(rmt_store_image_retire(store, &image, now - 60, &error));
    assert_int_equal(fixture_count(*state, "images"), 2);
    assert_int_equal(rmt_store_image_retire(store, &image, now + 60, &error), 1);
    assert_int_equal(fixture_count(*state, "images"), 0);
    RMT_OK(rmt_store_image_retire(store, &image, now + 60, &error));
    rmt_gc_report_t report;
    RMT_OK(rmt_store_gc(store, 3600, NULL, &report, &error));
    assert_int_equal(report.packs_marked, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_verify_names_image_chunk_and_file_of_a_flipped_bit),
        CASE(test_verify_of_an_image_that_is_not_here_says_so),
        CASE(test_a_sound_store_is_left_as_it_is),
        CASE(test_a_damaged_chunk_is_put_aside_and_the_sound_ones_stay),
        CASE(test_a_pack_whose_list_is_damaged_is_emptied_by_the_index),
        CASE(test_what_the_disk_refuses_to_read_stays),
        CASE(test_a_scrub_that_was_cut_short_goes_on_where_it_was),
        CASE(test_what_was_unread_stays_so_when_a_scrub_goes_on),
        CASE(test_one_scrub_at_a_time),
        CASE(test_a_retired_image_goes_unless_it_was_saved_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
