// What an export says of a manifest that is none, and of a disk that is full (M17).
#include "tools/rmt_test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/rmt_archive_writer.h"
#include "base/rmt_auto.h"

static const rmt_entry_t s_root = {.path = "", .mode = S_IFDIR | 0755};

static rmt_entry_t
s_entry(const char *path, uint32_t mode)
{
    return (rmt_entry_t){.path = path, .path_size = strlen(path), .mode = mode};
}

static rmt_entry_t
s_link(const char *path, uint64_t group, bool is_first)
{
    rmt_entry_t entry = s_entry(path, S_IFREG | 0644);
    entry.link_group = group;
    entry.link_first = is_first;
    return entry;
}

static int
s_write(int fd, const rmt_entry_t *entries, size_t count, rmt_error_t *error)
{
    rmt_archive_report_t report;
    rmt_auto(rmt_archive_writer) writer = rmt_archive_writer_new(fd, NULL, 0, error);
    if (!writer)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (rmt_archive_writer_entry(writer, &entries[i], error) == -1)
            return -1;
    return rmt_archive_writer_finish(writer, &report, error);
}

static void
s_assert_refused(const rmt_entry_t *entries, size_t count, rmt_code_t code,
                 const char *text)
{
    rmt_error_t error = {0};
    rmt_auto_fd fd = memfd_create("archive", MFD_CLOEXEC);
    RMT_FAILS(s_write(fd, entries, count, &error), code);
    if (!strstr(error.text, text))
        fail_msg("'%s' is not in '%s'", text, error.text);
}

static void
test_hard_links_that_are_no_group_are_refused(void **state)
{
    (void) state;
    const rmt_entry_t twice[] = {s_root, s_link("a", 5, true), s_link("b", 5, true)};
    s_assert_refused(twice, 3, RMT_E_CORRUPT, "/b: a group of hard links has two first");
    const rmt_entry_t headless[] = {s_root, s_link("a", 5, true), s_link("b", 6, false)};
    s_assert_refused(headless, 3, RMT_E_CORRUPT, "/b: a hard link has no first entry");
}

static void
test_groups_of_hard_links_may_come_in_any_sequence(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    const rmt_entry_t entries[] = {s_root,
                                   s_link("a", 9, true),
                                   s_link("b", 3, true),
                                   s_link("c", 6, true),
                                   s_link("d", 3, false),
                                   s_link("e", 9, false)};
    rmt_auto_fd fd = memfd_create("archive", MFD_CLOEXEC);
    RMT_OK(s_write(fd, entries, sizeof entries / sizeof *entries, &error));
}

static void
test_what_an_archive_cannot_hold_is_refused_with_its_path(void **state)
{
    (void) state;
    const rmt_entry_t sockets[] = {s_root, s_entry("run/odd\n", S_IFSOCK | 0600)};
    s_assert_refused(sockets, 2, RMT_E_UNSUPPORTED, "/run/odd\\x0a: is a socket");
    static const uint8_t other_version[] = {3, 0, 0, 0};
    static const uint8_t other_tag[] = {2, 0, 0, 0, 0x77, 0, 7, 0, 255, 255, 255, 255};
    static const struct {
        const void *value;
        uint32_t size;
        const char *text;
    } rows[] = {{other_version, 4, "system.posix_acl_access is not an ACL"},
                {other_version, 3, "system.posix_acl_access is not an ACL"},
                {other_tag, 11, "system.posix_acl_access is not an ACL"},
                {other_tag, 12, "system.posix_acl_access has an unknown tag"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_xattr_t xattr = {.name = "system.posix_acl_access",
                             .value = rows[i].value,
                             .value_size = rows[i].size};
        rmt_entry_t entries[] = {s_root, s_entry("acl", S_IFREG | 0644)};
        entries[1].xattrs = &xattr;
        entries[1].xattr_count = 1;
        s_assert_refused(entries, 2, RMT_E_CORRUPT, rows[i].text);
    }
}

static void
test_contents_are_as_long_as_their_entry_says(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_archive_report_t report;
    rmt_entry_t file = s_entry("file", S_IFREG | 0644);
    file.size = 6;
    rmt_auto_fd fd = memfd_create("archive", MFD_CLOEXEC);
    rmt_auto(rmt_archive_writer) writer = rmt_archive_writer_new(fd, NULL, 0, &error);
    RMT_FAILS(rmt_archive_writer_data(writer, "x", 1, &error), RMT_E_CORRUPT);
    RMT_OK(rmt_archive_writer_entry(writer, &file, &error));
    RMT_OK(rmt_archive_writer_data(writer, "abc", 3, &error));
    RMT_FAILS(rmt_archive_writer_finish(writer, &report, &error), RMT_E_CORRUPT);
    RMT_FAILS(rmt_archive_writer_entry(writer, &file, &error), RMT_E_CORRUPT);
    assert_non_null(strstr(error.text, "the contents of an entry are incomplete"));
    RMT_OK(rmt_archive_writer_data(writer, "def", 3, &error));
    RMT_FAILS(rmt_archive_writer_data(writer, "x", 1, &error), RMT_E_CORRUPT);
    RMT_OK(rmt_archive_writer_finish(writer, &report, &error));
}

// A device that is always full, not a test's own.
static void
test_a_full_disk_ends_an_export(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto_fd full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_int_not_equal(full, -1);
    rmt_auto(rmt_archive_writer) headed = rmt_archive_writer_new(full, "head", 4, &error);
    RMT_FAILS(headed, RMT_E_NO_SPACE);
    RMT_FAILS(s_write(full, &s_root, 1, &error), RMT_E_NO_SPACE);
    assert_non_null(strstr(error.text, "No space left on device"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hard_links_that_are_no_group_are_refused),
        cmocka_unit_test(test_groups_of_hard_links_may_come_in_any_sequence),
        cmocka_unit_test(test_what_an_archive_cannot_hold_is_refused_with_its_path),
        cmocka_unit_test(test_contents_are_as_long_as_their_entry_says),
        cmocka_unit_test(test_a_full_disk_ends_an_export),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
