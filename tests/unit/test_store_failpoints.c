// Wherever a step of a store fails, or its program dies, nothing that was acknowledged is
// lost, and the next run succeeds (P13). A day in the life of a store is lived once for
// each failpoint that it passes, for each time it passes it, by error and by crash.
#include "store_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_failpoint.h"
#include "base/rmt_io.h"
#include "store/rmt_gc.h"
#include "store/rmt_scrub.h"
#include "tools/rmt_child.h"
#include "wire/rmt_codec.h"

#define CHUNKS 4
#define KEPT_SEED 100
#define RETIRED_SEED 200
#define NEW_SEED 300
#define TIMES_MAX 100

enum { LIVED = 10, LIVED_AFTER_ALL, FAILED }; // How the child of a day ends

typedef struct {
    char *template;              // A store as it is in the morning
    rmt_id_t kept, retired, new; // Images
} morning_t;

// ---- Without an assertion, since it runs in a child too

static int
s_put(rmt_store_t *store, uint64_t seed, rmt_id_t *id_out, rmt_error_t *error)
{
    static uint8_t plain[8000], room[RMT_CHUNK_STORED_MAX];
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t) (seed * 31 + i * i + i / 7);
    rmt_chunk_t chunk;
    rmt_chunk_make(&chunk, plain, sizeof plain, room);
    *id_out = chunk.id;
    return rmt_store_put(store, &chunk, error);
}

// An image that names its chunks one by one. Caller owns the descriptor.
static int
s_put_chunks(rmt_store_t *store, uint64_t seed, zchunk_t **descriptor_out,
             rmt_error_t *error)
{
    char list[CHUNKS * RMT_ID_TEXT_SIZE + 1] = "";
    for (uint64_t i = 0; i < CHUNKS; i++) {
        rmt_id_t id;
        char text[RMT_ID_TEXT_SIZE];
        if (s_put(store, seed + i, &id, error) == -1)
            return -1;
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? " " : "",
                 rmt_id_text(&id, text));
    }
    rmt_auto(rmt_records) records = rmt_records_new();
    rmt_record_t *image = rmt_records_add(records);
    rmt_record_set(image, "class", "image");
    rmt_record_set(image, "chunks", list);
    *descriptor_out = rmt_codec_pack_records(records);
    return 0;
}

static int
s_put_image(rmt_store_t *store, uint64_t seed, rmt_id_t *id_out, rmt_error_t *error)
{
    rmt_auto(zchunk) descriptor = NULL;
    if (s_put_chunks(store, seed, &descriptor, error) == -1)
        return -1;
    return rmt_store_image_put(store, zchunk_data(descriptor), zchunk_size(descriptor),
                               id_out, error);
}

static int
s_collect(rmt_store_t *store, rmt_error_t *error)
{
    rmt_gc_report_t report;
    return rmt_store_gc(store, 0, NULL, &report, error) == -1 ||
                   rmt_store_gc(store, 0, NULL, &report, error) == -1
               ? -1
               : 0;
}

// One byte goes to told for the new image when it is acknowledged.
static int
s_live(const char *root, const morning_t *morning, int told, rmt_error_t *error)
{
    rmt_auto(rmt_store) store = rmt_store_new(root, false, error);
    rmt_id_t id;
    if (!store || s_put(store, 1000, &id, error) == -1 ||
        rmt_store_commit(store, error) == -1 ||
        s_put_image(store, NEW_SEED, &id, error) == -1)
        return -1;
    if (told != -1 && rmt_io_write(told, "n", 1, error) == -1)
        return -1;
    const rmt_scrub_options_t options = {.again = true};
    rmt_scrub_report_t report;
    if (rmt_store_image_retire(store, &morning->retired, INT64_MAX, error) == -1 ||
        rmt_store_scrub(store, &options, &report, error) == -1)
        return -1;
    return s_collect(store, error);
}

// ---- The morning

static void
s_leave(const char *root, const char *path)
{
    rmt_error_t error = {0};
    rmt_auto_str whole = rmt_text("%s/%s", root, path);
    rmt_io_save(whole, "left behind", 11, 0600, &error);
    assert_string_equal(error.text, "");
}

// What writers that died have left: a folder, an index and an image that have no name
// yet.
static void
s_leave_behind(const morning_t *morning)
{
    const char *root = morning->template;
    rmt_error_t error = {0};
    char text[RMT_ID_TEXT_SIZE];
    rmt_auto_str folder = rmt_text("%s/tmp/0123456789abcdef0123456789abcdef", root);
    RMT_OK(rmt_io_mkdirs(folder, 0700, &error));
    s_leave(root, "tmp/0123456789abcdef0123456789abcdef/pack");
    s_leave(root, "index/0123456789abcdef0123456789abcdef.new");
    rmt_auto_str image = rmt_text("images/%s.abc123", rmt_id_text(&morning->kept, text));
    s_leave(root, image);
}

// The pack of the image that is kept has no index; that of the one to be retired has a
// damaged one, and is damaged itself; there are so many indexes that a commit merges
// them.
static void
s_prepare_store(morning_t *morning)
{
    const char *root = morning->template;
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(root);
    RMT_OK(s_put_image(store, KEPT_SEED, &morning->kept, &error));
    rmt_auto_str index = fixture_file(root, "index", 0);
    rmt_auto_str kept_pack = fixture_file(root, "packs", 0);
    RMT_OK(s_put_image(store, RETIRED_SEED, &morning->retired, &error));
    assert_int_equal(unlink(index), 0);
    rmt_auto_str damaged = fixture_file(root, "index", 0);
    fixture_flip(damaged, 8 * 100);
    rmt_auto_str first = fixture_file(root, "packs", 0);
    rmt_auto_str pack =
        strcmp(first, kept_pack) == 0 ? fixture_file(root, "packs", 1) : NULL;
    fixture_flip(pack ? pack : first, 8 * 200);
    for (uint64_t i = 0; i < 7; i++) {
        rmt_id_t id;
        RMT_OK(s_put(store, 2000 + i, &id, &error));
        RMT_OK(rmt_store_commit(store, &error));
    }
    assert_int_equal(fixture_count(root, "index"), 8);
    s_leave_behind(morning);
}

// The id of the image that the day brings, from a store that lives for this alone.
static void
s_prepare_new(morning_t *morning)
{
    rmt_error_t error = {0};
    rmt_auto_str root = rmt_text("%s/other", morning->template);
    rmt_auto(rmt_store) other = fixture_open(root);
    RMT_OK(s_put_image(other, NEW_SEED, &morning->new, &error));
    RMT_OK(rmt_io_remove_tree(root, &error));
}

static int
s_setup(void **state)
{
    static morning_t morning;
    void *root = NULL;
    // A program that dies loses nothing of what the kernel has, so memory will do.
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
    if (fixture_setup(&root) == -1)
        return -1;
    morning.template = root;
    s_prepare_store(&morning);
    s_prepare_new(&morning);
    *state = &morning;
    return 0;
}

static int
s_teardown(void **state)
{
    morning_t *morning = *state;
    void *root = morning->template;
    return fixture_teardown(&root);
}

// ---- A day with a plan

static void
s_child(const char *root, const morning_t *morning, const char *plan, int told)
{
    rmt_error_t error = {0};
    (void) !freopen("/dev/null", "w", stderr);
    if (rmt_failpoint_arm(plan, &error) == -1)
        rmt_child_end(1);
    if (s_live(root, morning, told, &error) == -1)
        rmt_child_end(FAILED);
    rmt_child_end(rmt_failpoint_acted() ? LIVED_AFTER_ALL : LIVED);
}

// Its end as for waitpid; whether the new image was acknowledged.
static int
s_live_in_a_child(const char *root, const morning_t *morning, const char *plan,
                  bool *told_out)
{
    int pipes[2];
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0)
        s_child(root, morning, plan, pipes[1]);
    close(pipes[1]);
    char byte;
    *told_out = read(pipes[0], &byte, 1) == 1;
    close(pipes[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void
s_assert_whole(rmt_store_t *store, const rmt_id_t *image, const char *plan)
{
    rmt_error_t error = {0};
    rmt_store_report_t report = {0};
    rmt_store_verify(store, image, NULL, &report, &error);
    if (*error.text || report.missing || report.damaged || report.chunks != CHUNKS)
        fail_msg("after %s: %" PRIu64 " chunks, %" PRIu64 " missing, %" PRIu64
                 " damaged; %s",
                 plan, report.chunks, report.missing, report.damaged, error.text);
}

static void
s_assert_nothing_lost(const char *root, const morning_t *morning, const char *plan,
                      bool is_new_told)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = rmt_store_new(root, false, &error);
    if (!store)
        fail_msg("after %s: %s", plan, error.text);
    s_assert_whole(store, &morning->kept, plan);
    if (is_new_told)
        s_assert_whole(store, &morning->new, plan);
}

// A second day without a plan heals everything, and leaves nothing behind.
static void
s_assert_next_day(const char *root, const morning_t *morning, const char *plan)
{
    rmt_error_t error = {0};
    if (s_live(root, morning, -1, &error) == -1)
        fail_msg("the day after %s: %s", plan, error.text);
    s_assert_nothing_lost(root, morning, plan, true);
    rmt_auto(rmt_store) store = fixture_open(root);
    const char *text = NULL;
    const rmt_store_report_t report = fixture_check(store, true, &text);
    assert_string_equal(text, "");
    assert_int_equal(report.missing + report.damaged + report.orphan_files, 0);
    assert_int_equal(fixture_count(root, "tmp"), 0);
}

// Live the day once. False: the point was not passed so many times.
static bool
s_try(const morning_t *morning, const char *plan, bool is_crash)
{
    rmt_auto_str root = rmt_text("%s-day", morning->template);
    rmt_auto_str copy = rmt_text("cp -a %s %s", morning->template, root);
    assert_int_equal(system(copy), 0);
    bool is_new_told = false;
    const int status = s_live_in_a_child(root, morning, plan, &is_new_told);
    const bool is_passed = !(WIFEXITED(status) && WEXITSTATUS(status) == LIVED);
    if (is_crash && is_passed)
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    else
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) >= LIVED);
    s_assert_nothing_lost(root, morning, plan, is_new_told);
    s_assert_next_day(root, morning, plan);
    rmt_error_t error = {0};
    RMT_OK(rmt_io_remove_tree(root, &error));
    return is_passed;
}

static void
s_walk(const morning_t *morning, const char *action, bool is_crash)
{
    size_t count = 0;
    const char *const *names = rmt_failpoint_names(&count);
    for (size_t i = 0; i < count; i++) {
        if (strncmp(names[i], "store.", 6) != 0 && strncmp(names[i], "io.", 3) != 0)
            continue;
        int times = 0;
        for (bool is_passed = true; is_passed && times < TIMES_MAX; times += is_passed) {
            rmt_auto_str plan = rmt_text("%s=%s@%d", names[i], action, times + 1);
            is_passed = s_try(morning, plan, is_crash);
        }
        if (times == 0)
            fail_msg("the day does not pass %s", names[i]);
    }
}

// [2.13] P13: the next try succeeds.
static void
test_a_step_that_fails_loses_nothing(void **state)
{
    s_walk(*state, "error:ENOSPC", false);
}

// [2.12] P13: the next program succeeds.
static void
test_a_program_that_dies_at_a_step_loses_nothing(void **state)
{
    s_walk(*state, "crash", true);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_step_that_fails_loses_nothing),
        cmocka_unit_test(test_a_program_that_dies_at_a_step_loses_nothing),
    };
    return cmocka_run_group_tests(tests, s_setup, s_teardown);
}
