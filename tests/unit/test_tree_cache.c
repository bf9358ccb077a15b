// The stat cache: what is unchanged is not read, and nothing that changed is missed.
#include "tools/tree_lab.h"
#include "tree/rmt_cache.h"
#include "base/rmt_io.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define LINEAGE "the tree of this test"

typedef struct {
    tree_lab_t *lab;
    char *path;
    size_t ids, chunks; // Handed out by the last capture
    rmt_id_t last_id;
    const rmt_id_t *distrusted;
    bool had_trouble;
    rmt_capture_report_t report;
} fixture_t;

static int
s_setup(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    self->lab = tree_lab_new();
    self->path = rmt_text("%s/cache", tree_lab_folder(self->lab));
    *state = self;
    return 0;
}

static int
s_teardown(void **state)
{
    fixture_t *self = *state;
    rmt_capture_report_clear(&self->report);
    tree_lab_destroy(&self->lab);
    free(self->path);
    free(self);
    return 0;
}

static int
s_chunk(void *context, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    fixture_t *self = context;
    self->chunks++;
    return tree_lab_put(self->lab, chunk, error);
}

static int
s_id(void *context, const rmt_id_t *id, rmt_error_t *error)
{
    fixture_t *self = context;
    (void) error;
    self->ids++;
    self->last_id = *id;
    return 0;
}

// Capture with the cache at self->path, if any, and save a new one.
static rmt_id_t
s_capture(fixture_t *self, const char *lineage, uint32_t margin_s)
{
    tree_lab_settle();
    rmt_error_t error = {0};
    rmt_auto(rmt_cache_reader) reader = rmt_cache_reader_new(self->path, lineage);
    if (self->distrusted)
        rmt_cache_reader_distrust(reader, self->distrusted, 1);
    rmt_auto(rmt_cache_writer) writer =
        rmt_cache_writer_new(self->path, lineage, margin_s, &error);
    RMT_OK(writer);
    const rmt_capture_options_t options = {.root_fd = tree_lab_source(self->lab),
                                           .threads = 2,
                                           .cache = reader,
                                           .cache_out = writer};
    const rmt_capture_sink_t sink = {.context = self, .chunk_fn = s_chunk, .id_fn = s_id};
    self->ids = self->chunks = 0;
    rmt_capture_report_clear(&self->report);
    rmt_id_t root;
    if (rmt_capture_run(&options, &sink, &root, &self->report, &error) == -1)
        fail_msg("%s", error.text);
    if (rmt_cache_writer_save(writer, &root, &error) == -1)
        fail_msg("%s", error.text);
    self->had_trouble = rmt_cache_reader_trouble(reader) != NULL;
    return root;
}

static rmt_id_t
s_capture_all(fixture_t *self)
{
    return tree_lab_capture(self->lab, 2, NULL);
}

static uint64_t
s_inodes(const rmt_capture_report_t *report)
{
    return report->files + report->folders + report->symlinks + report->others;
}

// M9: the status of the files is enough.
static void
test_unchanged_tree_is_not_read_and_gives_the_same_manifest(void **state)
{
    fixture_t *self = *state;
    tree_lab_fill(tree_lab_source(self->lab));
    const rmt_id_t first = s_capture(self, LINEAGE, 0);
    assert_int_equal(self->report.cached, 0);
    assert_int_equal(self->ids, 0);
    for (int i = 0; i < 2; i++) {
        const rmt_id_t again = s_capture(self, LINEAGE, 0);
        assert_true(rmt_id_equal(&first, &again));
        // All but the one whose mtime lies in the future.
        assert_int_equal(self->report.cached, s_inodes(&self->report) - 1);
        assert_true(self->ids > 0);
        assert_false(self->had_trouble);
    }
    const rmt_id_t all = s_capture_all(self);
    assert_true(rmt_id_equal(&first, &all));
}

static void
s_set_times(int source, const char *name, const struct stat *status)
{
    const struct timespec times[2] = {status->st_atim, status->st_mtim};
    assert_int_equal(utimensat(source, name, times, AT_SYMLINK_NOFOLLOW), 0);
}

// P9: no kind of change escapes, also where somebody put the mtime back.
static void
test_every_kind_of_change_is_seen(void **state)
{
    fixture_t *self = *state;
    const int source = tree_lab_source(self->lab);
    static const char *const names[] = {"content", "mode",   "owner",   "xattr", "link",
                                        "gone",    "larger", "renamed", "still", NULL};
    for (size_t i = 0; names[i]; i++)
        tree_lab_file(source, names[i], 1000, (unsigned) i + 1);
    mkdirat(source, "folder", 0755);
    assert_int_equal(symlinkat("one", source, "symlink"), 0);
    s_capture(self, LINEAGE, 0);

    struct stat status;
    assert_int_equal(fstatat(source, "content", &status, 0), 0);
    const int fd = openat(source, "content", O_WRONLY);
    assert_int_equal(pwrite(fd, "changed", 7, 100), 7);
    close(fd);
    s_set_times(source, "content", &status);
    assert_int_equal(fchmodat(source, "mode", 0600, 0), 0);
    assert_int_equal(fchownat(source, "owner", 12, 34, 0), 0);
    const int xattr = openat(source, "xattr", O_RDONLY);
    assert_int_equal(fsetxattr(xattr, "user.a", "b", 1, 0), 0);
    close(xattr);
    assert_int_equal(linkat(source, "link", source, "link2", 0), 0);
    assert_int_equal(unlinkat(source, "gone", 0), 0);
    const int larger = openat(source, "larger", O_WRONLY | O_APPEND);
    assert_int_equal(write(larger, "x", 1), 1);
    close(larger);
    assert_int_equal(renameat(source, "renamed", source, "folder/renamed"), 0);
    assert_int_equal(unlinkat(source, "symlink", 0), 0);
    assert_int_equal(symlinkat("two", source, "symlink"), 0);

    const rmt_id_t some = s_capture(self, LINEAGE, 0);
    assert_int_equal(self->report.cached, 1); // "still"
    const rmt_id_t all = s_capture_all(self);
    assert_true(rmt_id_equal(&some, &all));
}

static void
test_what_changed_within_the_margin_is_read_again(void **state)
{
    fixture_t *self = *state;
    const int source = tree_lab_source(self->lab);
    tree_lab_file(source, "file", 100, 1);
    s_capture(self, LINEAGE, 60);
    s_capture(self, LINEAGE, 60);
    assert_int_equal(self->report.cached, 0);
    // A time of the future is as young as can be, though nothing has changed since.
    const struct timespec times[2] = {{.tv_sec = 5000000000}, {.tv_sec = 5000000000}};
    assert_int_equal(utimensat(source, "file", times, 0), 0);
    s_capture(self, LINEAGE, 0);
    s_capture(self, LINEAGE, 0);
    assert_int_equal(self->report.cached, 1); // The root
}

static void
test_file_that_holds_a_missing_chunk_is_read_again(void **state)
{
    fixture_t *self = *state;
    const int source = tree_lab_source(self->lab);
    tree_lab_file(source, "a", 100, 1);
    tree_lab_file(source, "b", 100, 2);
    const rmt_id_t first = s_capture(self, LINEAGE, 0);
    s_capture(self, LINEAGE, 0);
    assert_int_equal(self->ids, 2);
    const rmt_id_t missing = self->last_id;
    self->distrusted = &missing;
    const rmt_id_t again = s_capture(self, LINEAGE, 0);
    assert_int_equal(self->ids, 1);
    assert_int_equal(self->report.cached, 2); // The root and "a"
    assert_true(rmt_id_equal(&first, &again));
}

// M9: the cache names the manifest that holds all that its entries need.
static void
test_cache_knows_the_manifest_it_was_made_with(void **state)
{
    fixture_t *self = *state;
    tree_lab_file(tree_lab_source(self->lab), "file", 100, 1);
    const rmt_id_t root = s_capture(self, LINEAGE, 0);
    rmt_auto(rmt_cache_reader) reader = rmt_cache_reader_new(self->path, LINEAGE);
    assert_non_null(rmt_cache_reader_root(reader));
    assert_true(rmt_id_equal(rmt_cache_reader_root(reader), &root));
    rmt_auto(rmt_cache_reader) other = rmt_cache_reader_new(self->path, "another tree");
    assert_null(rmt_cache_reader_root(other));
}

static void
test_cache_of_another_tree_or_version_is_none(void **state)
{
    fixture_t *self = *state;
    tree_lab_file(tree_lab_source(self->lab), "file", 100, 1);
    s_capture(self, LINEAGE, 0);
    s_capture(self, "another tree", 0);
    assert_int_equal(self->report.cached, 0);
    assert_false(self->had_trouble);
}

// Bad input: whatever the file says, the image is right.
static void
test_damaged_cache_is_noticed_and_changes_nothing(void **state)
{
    fixture_t *self = *state;
    const int source = tree_lab_source(self->lab);
    char name[16];
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "f%d", i);
        tree_lab_file(source, name, 40, (unsigned) i);
    }
    const rmt_id_t first = s_capture(self, LINEAGE, 0);
    rmt_error_t error = {0};
    rmt_auto_ptr good = NULL;
    size_t size = 0;
    RMT_OK(rmt_io_load(self->path, 1 << 24, &good, &size, &error));
    assert_true(size > 2000);
    for (size_t i = 0; i < 20; i++) {
        const size_t at = i * (size / 20) + i % 44;
        uint8_t *bytes = malloc(size);
        memcpy(bytes, good, size);
        bytes[at] ^= 0x10;
        RMT_OK(rmt_io_save(self->path, bytes, size, 0600, &error));
        free(bytes);
        const rmt_id_t root = s_capture(self, LINEAGE, 0);
        assert_true(rmt_id_equal(&first, &root));
        // Bytes that say nothing are not looked at; all others are.
        if (self->report.cached == s_inodes(&self->report))
            assert_true(i == 0);
        else
            assert_true(self->had_trouble);
    }
    for (size_t cut = 1; cut < size; cut += size / 7) {
        RMT_OK(rmt_io_save(self->path, good, size - cut, 0600, &error));
        const rmt_id_t root = s_capture(self, LINEAGE, 0);
        assert_true(rmt_id_equal(&first, &root));
    }
    static const char rubbish[100000];
    RMT_OK(rmt_io_save(self->path, rubbish, sizeof rubbish, 0600, &error));
    s_capture(self, LINEAGE, 0);
    assert_int_equal(self->report.cached, 0);
    assert_true(self->had_trouble);
}

static void
test_first_link_that_was_left_out_is_not_needed_for_the_second(void **state)
{
    fixture_t *self = *state;
    const int source = tree_lab_source(self->lab);
    tree_lab_file(source, "a", 100, 1);
    linkat(source, "a", source, "b", 0);
    s_capture(self, LINEAGE, 0);
    s_capture(self, LINEAGE, 0);
    rmt_error_t error = {0};
    rmt_auto(rmt_cache_reader) reader = rmt_cache_reader_new(self->path, LINEAGE);
    static const char *const excludes[] = {"a", NULL};
    const rmt_capture_options_t options = {
        .root_fd = source, .cache = reader, .excludes = excludes};
    const rmt_capture_sink_t sink = {.context = self, .chunk_fn = s_chunk, .id_fn = s_id};
    rmt_id_t some;
    rmt_capture_report_clear(&self->report);
    RMT_OK(rmt_capture_run(&options, &sink, &some, &self->report, &error));
    const rmt_id_t all = tree_lab_capture(self->lab, 1, excludes);
    assert_true(rmt_id_equal(&some, &all));
}

static void
test_only_file_systems_with_telling_times_have_a_cache(void **state)
{
    fixture_t *self = *state;
    rmt_auto_str here = rmt_cache_lineage(tree_lab_source(self->lab));
    assert_non_null(here);
    rmt_auto_str folder = rmt_text("%s/source/memory", tree_lab_folder(self->lab));
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(mount("none", folder, "tmpfs", 0, NULL), 0);
    const int fd = open(folder, O_RDONLY | O_DIRECTORY);
    char *memory = rmt_cache_lineage(fd);
    close(fd);
    assert_int_equal(umount(folder), 0);
    assert_null(memory);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_unchanged_tree_is_not_read_and_gives_the_same_manifest),
        CASE(test_every_kind_of_change_is_seen),
        CASE(test_what_changed_within_the_margin_is_read_again),
        CASE(test_file_that_holds_a_missing_chunk_is_read_again),
        CASE(test_cache_knows_the_manifest_it_was_made_with),
        CASE(test_cache_of_another_tree_or_version_is_none),
        CASE(test_damaged_cache_is_noticed_and_changes_nothing),
        CASE(test_first_link_that_was_left_out_is_not_needed_for_the_second),
        CASE(test_only_file_systems_with_telling_times_have_a_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
