// Images to pax archives and back (M17): nothing is lost on the way through our own two
// ends, and of what GNU tar and bsdtar extract only that differs which docs/operating.md
// lists. Needs root.
#include "tools/archive_lab.h"
#include "tools/tree_lab.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/rmt_archive_reader.h"
#include "archive/rmt_archive_writer.h"
#include "base/rmt_io.h"

static int
s_setup(void **state)
{
    *state = tree_lab_new();
    return 0;
}

static int
s_teardown(void **state)
{
    tree_lab_t *lab = *state;
    tree_lab_destroy(&lab);
    return 0;
}

static void
s_assert_same(const rmt_id_t *a, const rmt_id_t *b)
{
    char a_text[RMT_ID_TEXT_SIZE], b_text[RMT_ID_TEXT_SIZE];
    assert_string_equal(rmt_id_text(a, a_text), rmt_id_text(b, b_text));
}

static void
test_an_archive_of_ours_comes_back_as_the_same_manifest(void **state)
{
    tree_lab_t *lab = *state;
    tree_lab_fill(tree_lab_source(lab));
    const rmt_id_t root = tree_lab_capture(lab, 2, NULL);
    rmt_archive_report_t report;
    archive_lab_export(lab, &root, "what it is of", &report);
    assert_int_equal(report.projects + report.flags + report.marks, 0);
    assert_int_equal(report.odd_names, 1);
    rmt_id_t back;
    char head[64];
    rmt_error_t error = {0};
    (void) archive_lab_import(lab, &back, head, &error);
    assert_string_equal(error.text, "");
    assert_string_equal(head, "what it is of");
    s_assert_same(&root, &back);
}

// What the ACL grants the owning group and what the mask lets through are two things.
static void
test_a_mask_that_differs_from_the_group_comes_back(void **state)
{
    tree_lab_t *lab = *state;
    tree_lab_file(tree_lab_source(lab), "masked", 10, 1);
    rmt_auto_str path = rmt_text("%s/source/masked", tree_lab_folder(lab));
    tree_lab_run("setfacl", "-m", "u:1001:rwx,g:7:x,g::rwx,m::r--", path);
    const rmt_id_t root = tree_lab_capture(lab, 1, NULL);
    rmt_archive_report_t report;
    archive_lab_export(lab, &root, "", &report);
    rmt_id_t back;
    rmt_error_t error = {0};
    (void) archive_lab_import(lab, &back, NULL, &error);
    assert_string_equal(error.text, "");
    s_assert_same(&root, &back);
}

// The head is more than one header can hold.
static void
test_a_large_head_comes_back_whole(void **state)
{
    tree_lab_t *lab = *state;
    const size_t size = 600000;
    rmt_auto_ptr room = malloc(size);
    uint8_t *head = room;
    for (size_t i = 0; i < size; i++)
        head[i] = (uint8_t) (i * i >> 3);
    rmt_error_t error = {0};
    rmt_archive_report_t report;
    rmt_auto_str path = archive_lab_path(lab);
    rmt_auto_fd fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    rmt_auto(rmt_archive_writer) writer = rmt_archive_writer_new(fd, head, size, &error);
    RMT_OK(writer);
    RMT_OK(rmt_archive_writer_finish(writer, &report, &error));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    rmt_auto(rmt_archive_reader) reader = rmt_archive_reader_new(fd, &error);
    RMT_OK(reader);
    size_t found = 0;
    const void *data = rmt_archive_reader_head(reader, &found);
    assert_int_equal(found, size);
    assert_memory_equal(data, head, size);
    rmt_entry_t entry;
    const char *link;
    assert_int_equal(rmt_archive_reader_next(reader, &entry, &link, &error), 0);
}

// ---- Other programs

// Deep paths are beyond PATH_MAX, which other programs cannot make.
static void
s_fill_for_others(const tree_lab_t *lab)
{
    const int root = tree_lab_source(lab);
    tree_lab_fill(root);
    rmt_auto_str top = rmt_text("%s/source/deep-%052d", tree_lab_folder(lab), 0);
    tree_lab_run("rm", "-rf", top);
    assert_int_equal(unlinkat(root, "z-from-the-bottom", 0), 0);
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {1234567890, 42}};
    assert_int_equal(futimens(root, times), 0);
}

static char *
s_extract_and_compare(tree_lab_t *lab, const char *const *arguments)
{
    s_fill_for_others(lab);
    const rmt_id_t root = tree_lab_capture(lab, 1, NULL);
    rmt_archive_report_t report;
    archive_lab_export(lab, &root, "head", &report);
    tree_lab_run_list(arguments);
    return tree_lab_compare(lab, &root, NULL);
}

// Inode flags are no matter of GNU tar; it reads a time before 1970 with a fraction as
// one second less; of the names of attributes it takes back %3D and %25 alone.
static void
test_what_gnu_tar_extracts_differs_only_as_listed(void **state)
{
    tree_lab_t *lab = *state;
    rmt_auto_str archive = archive_lab_path(lab);
    rmt_auto_str copy = rmt_text("%s/copy", tree_lab_folder(lab));
    const char *const arguments[] = {"tar",
                                     "--warning=no-unknown-keyword",
                                     "--warning=no-timestamp",
                                     "-C",
                                     copy,
                                     "--numeric-owner",
                                     "--acls",
                                     "--xattrs",
                                     "--xattrs-include=*",
                                     "--same-permissions",
                                     "-xf",
                                     archive,
                                     NULL};
    rmt_auto_str found = s_extract_and_compare(lab, arguments);
    assert_string_equal(found, "xattr attributes\nxattr attributes\nmtime large\n"
                               "flags locked\nflags locked-dir\n");
}

static void
test_what_bsdtar_extracts_differs_only_as_listed(void **state)
{
    tree_lab_t *lab = *state;
    rmt_auto_str archive = archive_lab_path(lab);
    rmt_auto_str copy = rmt_text("%s/copy", tree_lab_folder(lab));
    const char *const arguments[] = {"bsdtar", "-C",       copy,       "--numeric-owner",
                                     "--acls", "--xattrs", "--fflags", "-xpf",
                                     archive,  NULL};
    rmt_auto_str found = s_extract_and_compare(lab, arguments);
    assert_string_equal(found, "mtime \nxattr attributes\nxattr attributes\n");
}

static void
test_an_archive_of_gnu_tar_is_read_whole(void **state)
{
    tree_lab_t *lab = *state;
    s_fill_for_others(lab);
    rmt_auto_str archive = archive_lab_path(lab);
    rmt_auto_str source = rmt_text("%s/source", tree_lab_folder(lab));
    tree_lab_run("tar", "-C", source, "--format=pax", "--numeric-owner", "--acls",
                 "--xattrs", "--xattrs-include=*", "--sparse", "-cf", archive, ".");
    rmt_id_t root;
    rmt_error_t error = {0};
    (void) archive_lab_import(lab, &root, NULL, &error);
    assert_string_equal(error.text, "");
    tree_lab_write(lab, &root);
    rmt_auto_str found = tree_lab_compare(lab, NULL, NULL);
    assert_string_equal(found, "mtime large\nflags locked\nflags locked-dir\n");
}

// ---- Bad input

// A ustar header by hand: what no honest program writes.
static void
s_put_head(int fd, const char *name, char type, const char *link, size_t size)
{
    uint8_t block[512] = {0};
    char *text = (char *) block;
    snprintf(text, 100, "%s", name);
    snprintf(text + 100, 8, "%07o", 0644);
    snprintf(text + 108, 8, "%07o", 0);
    snprintf(text + 116, 8, "%07o", 0);
    snprintf(text + 124, 12, "%011zo", size);
    snprintf(text + 136, 12, "%011o", 0);
    block[156] = (uint8_t) type;
    snprintf(text + 157, 100, "%s", link);
    memcpy(text + 257, "ustar\00000", 8);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof block; i++)
        sum += i >= 148 && i < 156 ? ' ' : block[i];
    snprintf(text + 148, 8, "%06o", sum);
    assert_int_equal(write(fd, block, sizeof block), sizeof block);
}

static void
s_put_block(int fd, const char *name, char type, const char *link, size_t size)
{
    uint8_t block[512];
    s_put_head(fd, name, type, link, size);
    memset(block, 'x', sizeof block);
    for (size_t at = 0; at < size; at += sizeof block)
        assert_int_equal(write(fd, block, sizeof block), sizeof block);
}

static void
test_hostile_archives_are_refused_by_name(void **state)
{
    tree_lab_t *lab = *state;
    static const struct {
        const char *name;
        char type;
        const char *link;
        rmt_code_t code;
        const char *words;
    } rows[] = {
        {"../up", '0', "", RMT_E_CORRUPT, "'../up' leads out"},
        {"a/../../up", '0', "", RMT_E_CORRUPT, "leads out"},
        {"x", '1', "../../etc/passwd", RMT_E_CORRUPT, "leads out"},
        {"x", '1', "nowhere", RMT_E_CORRUPT, "/x is a hard link to /nowhere"},
        {"x", '1', "x", RMT_E_CORRUPT, "/x is a hard link to /x"},
        {"x", '1', "folder", RMT_E_CORRUPT, "hard link to a folder"},
        {"file/below", '0', "", RMT_E_USAGE, "/file/below"},
        {"link/below", '0', "", RMT_E_USAGE, "/link/below"},
    };
    rmt_auto_str path = archive_lab_path(lab);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto_fd fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        s_put_block(fd, "folder/", '5', "", 0);
        s_put_block(fd, "file", '0', "", 10);
        s_put_block(fd, "link", '2', "/etc", 0);
        s_put_block(fd, rows[i].name, rows[i].type, rows[i].link, 0);
        const uint8_t end[1024] = {0};
        assert_int_equal(write(fd, end, sizeof end), sizeof end);
        rmt_id_t root;
        rmt_error_t error = {0};
        RMT_FAILS(archive_lab_import(lab, &root, NULL, &error), rows[i].code);
        if (!strstr(error.text, rows[i].words))
            fail_msg("row %zu: %s", i, error.text);
    }
}

// A pax header of one record, for the entry behind it.
static void
s_put_pax(int fd, const char *record)
{
    char block[512] = {0};
    // The size counts itself: two digits, a blank and the end of the line.
    const size_t size = strlen(record) + 4;
    assert_int_equal(snprintf(block, sizeof block, "%zu %s\n", size, record), size);
    s_put_head(fd, "pax", 'x', "", size);
    assert_int_equal(write(fd, block, sizeof block), sizeof block);
}

// P22: cut to 32 bits they would mean root, or another device.
static void
test_numbers_that_are_too_wide_are_refused(void **state)
{
    tree_lab_t *lab = *state;
    static const struct {
        const char *record;
        char type;
        const char *words;
    } rows[] = {
        {"uid=4294967296", '0', "owner"},
        {"gid=4294967296", '0', "group"},
        {"uid=4294967295", '0', "owner"},
        {"SCHILY.devmajor=4294967297", '3', "major device number"},
        {"SCHILY.devminor=4294967297", '4', "minor device number"},
    };
    rmt_auto_str path = archive_lab_path(lab);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto_fd fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        s_put_pax(fd, rows[i].record);
        s_put_head(fd, "entry", rows[i].type, "", 0);
        const uint8_t end[1024] = {0};
        assert_int_equal(write(fd, end, sizeof end), sizeof end);
        rmt_id_t root;
        rmt_error_t error = {0};
        RMT_FAILS(archive_lab_import(lab, &root, NULL, &error), RMT_E_CORRUPT);
        if (!strstr(error.text, rows[i].words))
            fail_msg("row %zu: %s", i, error.text);
    }
}

static void
test_an_archive_that_ends_early_is_refused(void **state)
{
    tree_lab_t *lab = *state;
    tree_lab_file(tree_lab_source(lab), "large", 300000, 1);
    const rmt_id_t root = tree_lab_capture(lab, 1, NULL);
    rmt_archive_report_t report;
    archive_lab_export(lab, &root, "head", &report);
    rmt_auto_str path = archive_lab_path(lab);
    rmt_id_t back;
    for (off_t size = 200000; size > 0; size = size * 2 / 3) {
        rmt_error_t error = {0};
        assert_int_equal(truncate(path, size), 0);
        RMT_FAILS(archive_lab_import(lab, &back, NULL, &error), RMT_E_CORRUPT);
    }
}

// Absolute names, dots and double slashes; the last of the same name counts; folders that
// nobody has packed.
static void
test_odd_but_honest_names_are_understood(void **state)
{
    tree_lab_t *lab = *state;
    rmt_auto_str path = archive_lab_path(lab);
    rmt_auto_fd fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    s_put_block(fd, "/etc//x/./hosts", '0', "", 10);
    s_put_block(fd, "./twice", '0', "", 10);
    s_put_block(fd, "twice", '0', "", 20);
    s_put_block(fd, "b", '1', "./etc/x/hosts", 0);
    const uint8_t end[1024] = {0};
    assert_int_equal(write(fd, end, sizeof end), sizeof end);
    rmt_id_t root;
    rmt_error_t error = {0};
    (void) archive_lab_import(lab, &root, NULL, &error);
    assert_string_equal(error.text, "");
    tree_lab_write(lab, &root);
    struct stat hosts, twice, b;
    assert_int_equal(fstatat(tree_lab_copy(lab), "etc/x/hosts", &hosts, 0), 0);
    assert_int_equal(fstatat(tree_lab_copy(lab), "b", &b, 0), 0);
    assert_int_equal(fstatat(tree_lab_copy(lab), "twice", &twice, 0), 0);
    assert_int_equal(hosts.st_ino, b.st_ino);
    assert_int_equal(hosts.st_size, 10);
    assert_int_equal(twice.st_size, 20);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_an_archive_of_ours_comes_back_as_the_same_manifest),
        CASE(test_a_mask_that_differs_from_the_group_comes_back),
        CASE(test_a_large_head_comes_back_whole),
        CASE(test_what_gnu_tar_extracts_differs_only_as_listed),
        CASE(test_what_bsdtar_extracts_differs_only_as_listed),
        CASE(test_an_archive_of_gnu_tar_is_read_whole),
        CASE(test_hostile_archives_are_refused_by_name),
        CASE(test_numbers_that_are_too_wide_are_refused),
        CASE(test_an_archive_that_ends_early_is_refused),
        CASE(test_odd_but_honest_names_are_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
