// What a writer refuses, and that nothing outside its root is ever touched (P22).
#include "tools/tree_lab.h"
#include "base/rmt_io.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE (S_IFREG | 0644)
#define DIR_MODE (S_IFDIR | 0755)
#define LINK_MODE (S_IFLNK | 0777)

typedef struct {
    tree_lab_t *lab;
    int canary; // A folder beside the root
    rmt_writer_t *writer;
    rmt_error_t error;
} stage_t;

// The call fails with this code in the error of stage.
#define REFUSED(call, code_)                                                             \
    rmt_test_fails(RMT_TEST_OUTCOME(call), &stage->error, code_, #call, __FILE__,        \
                   __LINE__)

static int
s_setup(void **state)
{
    stage_t *stage = calloc(1, sizeof *stage);
    stage->lab = tree_lab_new();
    rmt_auto_str path = rmt_text("%s/canary", tree_lab_folder(stage->lab));
    assert_int_equal(mkdir(path, 0755), 0);
    stage->canary = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    tree_lab_file(stage->canary, "file", 100, 1);
    stage->writer = rmt_writer_new(tree_lab_copy(stage->lab), 2, &stage->error);
    assert_non_null(stage->writer);
    *state = stage;
    return 0;
}

// Whatever the case did, the canary has its one file of 100 bytes with one link.
static int
s_teardown(void **state)
{
    stage_t *stage = *state;
    rmt_writer_destroy(&stage->writer);
    struct stat status;
    assert_int_equal(fstatat(stage->canary, "file", &status, 0), 0);
    assert_int_equal(status.st_size, 100);
    assert_int_equal(status.st_nlink, 1);
    assert_int_equal(status.st_mode, S_IFREG | 0644);
    assert_int_equal(unlinkat(stage->canary, "file", 0), 0);
    rmt_auto_str path = rmt_text("%s/canary", tree_lab_folder(stage->lab));
    assert_int_equal(rmdir(path), 0); // Nothing else came in
    close(stage->canary);
    tree_lab_destroy(&stage->lab);
    free(stage);
    return 0;
}

static int
s_add(stage_t *stage, rmt_entry_t entry)
{
    entry.path_size = strlen(entry.path);
    return rmt_writer_entry(stage->writer, &entry, &stage->error);
}

static int
s_finish(stage_t *stage)
{
    rmt_writer_report_t report;
    return rmt_writer_finish(stage->writer, &report, &stage->error);
}

static void
s_add_root(stage_t *stage)
{
    assert_int_equal(s_add(stage, (rmt_entry_t){.path = "", .mode = DIR_MODE}), 0);
}

static void
s_restart(stage_t *stage)
{
    rmt_writer_destroy(&stage->writer);
    stage->error = (rmt_error_t){0};
    stage->writer = rmt_writer_new(tree_lab_copy(stage->lab), 2, &stage->error);
    assert_non_null(stage->writer);
}

static void
test_names_that_lead_elsewhere_are_refused(void **state)
{
    static const char *const names[] = {
        "..",
        ".",
        "../canary/x",
        "/tmp/x",
        "d/..",
        "d/../x",
        "d/../../canary/x",
        "d/.",
        "d//x",
        "d/",
        "/",
        "//",
        "d/../..",
        "./x",
        "x/../../canary/file",
    };
    stage_t *stage = *state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        s_restart(stage);
        s_add_root(stage);
        const int result =
            s_add(stage, (rmt_entry_t){.path = names[i], .mode = FILE_MODE});
        if (result != -1 || stage->error.code != RMT_E_CORRUPT)
            fail_msg("%s was taken", names[i]);
    }
}

// P22: the target of the link stays as it is.
static void
test_nothing_is_written_through_a_symlink_of_the_image(void **state)
{
    stage_t *stage = *state;
    s_add_root(stage);
    assert_int_equal(
        s_add(stage,
              (rmt_entry_t){.path = "d", .mode = LINK_MODE, .target = "../canary"}),
        0);
    REFUSED(s_add(stage, (rmt_entry_t){.path = "d/x", .mode = FILE_MODE}), RMT_E_CORRUPT);
}

static void
test_a_name_is_made_once(void **state)
{
    stage_t *stage = *state;
    s_add_root(stage);
    assert_int_equal(
        s_add(stage,
              (rmt_entry_t){.path = "f", .mode = LINK_MODE, .target = "../canary/file"}),
        0);
    (void) s_add(stage, (rmt_entry_t){.path = "f", .mode = FILE_MODE});
    REFUSED(s_finish(stage), RMT_E_EXISTS);
    assert_non_null(strstr(stage->error.text, "/f"));
}

static void
test_what_exists_is_not_written_to(void **state)
{
    stage_t *stage = *state;
    const int copy = tree_lab_copy(stage->lab);
    assert_int_equal(symlinkat("../canary", copy, "d"), 0);
    s_add_root(stage);
    REFUSED(s_add(stage, (rmt_entry_t){.path = "d", .mode = DIR_MODE}), RMT_E_EXISTS);
}

static void
test_a_lost_and_found_that_is_a_symlink_is_refused(void **state)
{
    stage_t *stage = *state;
    assert_int_equal(symlinkat("../canary", tree_lab_copy(stage->lab), "lost+found"), 0);
    s_add_root(stage);
    assert_int_equal(s_add(stage, (rmt_entry_t){.path = "lost+found", .mode = S_IFDIR}),
                     -1);
}

// P22: the swap happens while the writer works.
static void
test_a_folder_swapped_for_a_symlink_is_not_followed(void **state)
{
    stage_t *stage = *state;
    const int copy = tree_lab_copy(stage->lab);
    s_add_root(stage);
    assert_int_equal(s_add(stage, (rmt_entry_t){.path = "d", .mode = DIR_MODE}), 0);
    assert_int_equal(renameat(copy, "d", copy, "moved"), 0);
    assert_int_equal(symlinkat("../canary", copy, "d"), 0);
    assert_int_equal(s_add(stage, (rmt_entry_t){.path = "d/x", .mode = FILE_MODE}), 0);
    assert_int_equal(s_finish(stage), 0);
    assert_int_equal(faccessat(copy, "moved/x", F_OK, 0), 0);
}

static void
test_hard_links_go_to_inodes_of_this_run_only(void **state)
{
    stage_t *stage = *state;
    const int copy = tree_lab_copy(stage->lab);
    s_add_root(stage);
    const rmt_entry_t orphan = {.path = "a", .mode = FILE_MODE, .link_group = 7};
    REFUSED(s_add(stage, orphan), RMT_E_CORRUPT);

    s_restart(stage);
    s_add_root(stage);
    assert_int_equal(s_add(stage, (rmt_entry_t){.path = "a",
                                                .mode = FILE_MODE,
                                                .link_group = 7,
                                                .link_first = true}),
                     0);
    // The first name is swapped for the file of somebody else.
    assert_int_equal(unlinkat(copy, "a", 0), 0);
    assert_int_equal(linkat(stage->canary, "file", copy, "a", 0), 0);
    REFUSED(s_add(stage, (rmt_entry_t){.path = "b", .mode = FILE_MODE, .link_group = 7}),
            RMT_E_CORRUPT);
    assert_int_equal(unlinkat(copy, "a", 0), 0);
    assert_int_equal(symlinkat("../canary/file", copy, "a"), 0);
    assert_int_equal(faccessat(copy, "b", F_OK, 0), -1);
}

static void
test_entries_without_their_folder_are_refused(void **state)
{
    stage_t *stage = *state;
    s_add_root(stage);
    assert_int_equal(s_add(stage, (rmt_entry_t){.path = "d", .mode = DIR_MODE}), 0);
    REFUSED(s_add(stage, (rmt_entry_t){.path = "de/x", .mode = FILE_MODE}),
            RMT_E_CORRUPT);
    s_restart(stage);
    REFUSED(s_add(stage, (rmt_entry_t){.path = "x", .mode = FILE_MODE}), RMT_E_CORRUPT);
}

static const rmt_id_t s_id = {{RMT_ID_SHA256}};

static rmt_entry_t
s_file_of_four(const char *path)
{
    static const uint32_t sizes[] = {4};
    return (rmt_entry_t){.path = path,
                         .mode = FILE_MODE,
                         .size = 4,
                         .chunks = &s_id,
                         .chunk_sizes = sizes,
                         .chunk_count = 1};
}

static void
test_contents_must_be_as_long_as_announced(void **state)
{
    stage_t *stage = *state;
    s_add_root(stage);
    assert_int_equal(s_add(stage, s_file_of_four("f")), 0);
    REFUSED(rmt_writer_data(stage->writer, "abcde", 5, &stage->error), RMT_E_CORRUPT);

    s_restart(stage);
    s_add_root(stage);
    assert_int_equal(s_add(stage, s_file_of_four("g")), 0);
    assert_int_equal(rmt_writer_data(stage->writer, "abc", 3, &stage->error), 0);
    REFUSED(s_add(stage, s_file_of_four("h")), RMT_E_CORRUPT);

    s_restart(stage);
    s_add_root(stage);
    assert_int_equal(s_add(stage, s_file_of_four("i")), 0);
    REFUSED(s_finish(stage), RMT_E_CORRUPT);
}

// A refused attribute is an error that names the path.
static void
test_an_attribute_that_is_refused_is_an_error_with_its_path(void **state)
{
    stage_t *stage = *state;
    const rmt_xattr_t xattr = {.name = "nonsense.x", .value = "v", .value_size = 1};
    s_add_root(stage);
    assert_int_equal(s_add(stage, (rmt_entry_t){.path = "with\nattribute",
                                                .mode = FILE_MODE,
                                                .xattrs = &xattr,
                                                .xattr_count = 1}),
                     0);
    REFUSED(s_finish(stage), RMT_E_IO);
    assert_non_null(strstr(stage->error.text, "/with\\x0aattribute"));
    assert_non_null(strstr(stage->error.text, "nonsense.x"));
}

static void
test_an_error_is_final(void **state)
{
    stage_t *stage = *state;
    s_add_root(stage);
    REFUSED(s_add(stage, (rmt_entry_t){.path = "..", .mode = FILE_MODE}), RMT_E_CORRUPT);
    REFUSED(s_add(stage, (rmt_entry_t){.path = "f", .mode = FILE_MODE}), RMT_E_CORRUPT);
    REFUSED(s_finish(stage), RMT_E_CORRUPT);
    assert_int_equal(faccessat(tree_lab_copy(stage->lab), "f", F_OK, 0), -1);
}

static void
test_nobody_gets_into_a_folder_before_it_is_finished(void **state)
{
    stage_t *stage = *state;
    s_add_root(stage);
    assert_int_equal(
        s_add(stage, (rmt_entry_t){.path = "d", .mode = S_IFDIR | 0777, .uid = 5}), 0);
    struct stat status;
    assert_int_equal(fstatat(tree_lab_copy(stage->lab), "d", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(s_finish(stage), 0);
    assert_int_equal(fstatat(tree_lab_copy(stage->lab), "d", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0777);
    assert_int_equal(status.st_uid, 5);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_names_that_lead_elsewhere_are_refused),
        CASE(test_nothing_is_written_through_a_symlink_of_the_image),
        CASE(test_a_name_is_made_once),
        CASE(test_what_exists_is_not_written_to),
        CASE(test_a_lost_and_found_that_is_a_symlink_is_refused),
        CASE(test_a_folder_swapped_for_a_symlink_is_not_followed),
        CASE(test_hard_links_go_to_inodes_of_this_run_only),
        CASE(test_entries_without_their_folder_are_refused),
        CASE(test_contents_must_be_as_long_as_announced),
        CASE(test_an_attribute_that_is_refused_is_an_error_with_its_path),
        CASE(test_an_error_is_final),
        CASE(test_nobody_gets_into_a_folder_before_it_is_finished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
