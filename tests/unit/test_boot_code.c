// What a BIOS starts: boot code is read only where GRUB is, and written only where boot
// code may lie (M23).
#include "tools/rmt_test.h"
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/rmt_auto.h"
#include "disk/rmt_boot_code.h"
#include "facts/rmt_facts.h"
#include "base/rmt_io.h"

#define DOS                                                                              \
    "class=disk role=system table=dos logical-sector=512 bytes=67108864\n"               \
    "class=partition disk=system number=1 start=2048 size=4096 type=83\n"
#define DOS_4K                                                                           \
    "class=disk role=system table=dos logical-sector=4096 bytes=67108864\n"              \
    "class=partition disk=system number=1 start=2048 size=4096 type=83\n"
// With a gap that is larger than any core of GRUB.
#define DOS_LARGE                                                                        \
    "class=disk role=system table=dos logical-sector=512 bytes=67108864\n"               \
    "class=partition disk=system number=1 start=65536 size=4096 type=83\n"
#define GUARD_AT 446
#define GPT                                                                              \
    "class=disk role=system table=gpt logical-sector=512 bytes=67108864\n"               \
    "class=partition disk=system number=1 start=2048 size=2048 "                         \
    "type=21686148-6449-6E6F-744E-656564454649\n"                                        \
    "class=partition disk=system number=2 start=4096 size=4096 "                         \
    "type=0FC63DAF-8483-4772-8E79-3D69D8477DE4\n"

static rmt_layout_t *
s_layout(const char *text)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) records = rmt_facts_parse(text, &error);
    rmt_layout_t *layout = rmt_layout_read(records, &error);
    RMT_OK(layout);
    return layout;
}

// A disk with GRUB's core of `count` sectors from `core` on; the list names `list`.
static int
s_disk(uint64_t core, uint64_t list, uint16_t count)
{
    rmt_error_t error = {0};
    const int fd = memfd_create("disk", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, (off_t) 64 << 20), 0);
    uint8_t first[512] = {0xeb, 0x63}, head[512] = {0x52, 0xbf}, body[512];
    memcpy(first + 0x180, "GRUB \0Geom\0Hard Disk\0Read\0 Error", 32);
    memcpy(first + 0x5c, &core, 8);
    memcpy(head + 0x100, "loading", 7);
    memcpy(head + 0x1f4, &list, 8);
    memcpy(head + 0x1fc, &count, 2);
    memset(body, 0x5a, sizeof body);
    RMT_OK(rmt_io_pwrite(fd, first, 512, 0, &error));
    RMT_OK(rmt_io_pwrite(fd, head, 512, (off_t) core * 512, &error));
    for (uint16_t i = 0; i < count; i++)
        RMT_OK(rmt_io_pwrite(fd, body, 512, (off_t) (list + i) * 512, &error));
    return fd;
}

static void
s_assert_carried(const char *text, uint64_t core)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_layout) layout = s_layout(text);
    rmt_auto(rmt_records) boot = rmt_records_new();
    rmt_auto_fd fd = s_disk(core, core + 1, 100);
    const char *kind = NULL;
    RMT_OK(rmt_boot_code_read(fd, layout, boot, &kind, &error));
    assert_string_equal(kind, "grub");
    size_t size = 0, all = 0;
    for (size_t i = 0; i < rmt_records_count(boot); i++) {
        (void) rmt_record_get(rmt_records_at(boot, i), "content", &size);
        all += size;
    }
    assert_int_equal(all, 101 * 512 + 440);
    // The first sector is what makes a disk one that starts, so it comes last.
    const rmt_record_t *last = rmt_records_at(boot, rmt_records_count(boot) - 1);
    assert_int_equal(rmt_record_u64(last, "offset", 1), 0);
    RMT_OK(rmt_boot_code_check(layout, boot, &error));
}

static void
test_grub_is_carried_from_gap_and_boot_partition(void **state)
{
    (void) state;
    s_assert_carried(DOS, 1);
    s_assert_carried(GPT, 2048);
}

static void
s_assert_unsupported(int fd, const char *text, const char *word)
{
    rmt_error_t error = {0};
    rmt_auto_fd disk = fd;
    rmt_auto(rmt_layout) layout = s_layout(text);
    rmt_auto(rmt_records) boot = rmt_records_new();
    const char *kind = NULL;
    RMT_FAILS(rmt_boot_code_read(disk, layout, boot, &kind, &error), RMT_E_UNSUPPORTED);
    if (!strstr(error.text, word))
        fail_msg("'%s' does not name '%s'", error.text, word);
    assert_int_equal(rmt_records_count(boot), 0);
}

static void
test_grub_with_blocks_in_a_partition_is_refused(void **state)
{
    (void) state;
    s_assert_unsupported(s_disk(1, 3000, 10), DOS, "inside a partition");
    s_assert_unsupported(s_disk(1, 2, 10), GPT, "inside a partition");
    s_assert_unsupported(s_disk(2048, 4000, 200), GPT, "inside a partition");
    s_assert_unsupported(s_disk(1, 2000, 100), DOS, "inside a partition");
}

static void
s_put(int fd, off_t at, uint64_t number, size_t size)
{
    rmt_error_t error = {0};
    RMT_OK(rmt_io_pwrite(fd, &number, size, at, &error));
}

// The words that an admin reads of a GRUB that is not whole.
static void
test_grub_that_cannot_be_read_whole_is_told(void **state)
{
    (void) state;
    s_assert_unsupported(s_disk(1, 2, 10), DOS_4K, "inside a partition");
    int fd = s_disk(1, 2, 10);
    for (off_t at = 0x1f4; at >= 0; at -= 12)
        s_put(fd, 512 + at + 8, 1, 2);
    s_assert_unsupported(fd, DOS, "install GRUB again");
    fd = s_disk(1, 2, 10);
    s_put(fd, 0x5c, 0, 8);
    s_assert_unsupported(fd, DOS, "GRUB Legacy");
}

static void
s_assert_fails(int fd, const char *text, rmt_code_t code, const char *word)
{
    rmt_error_t error = {0};
    rmt_auto_fd disk = fd;
    rmt_auto(rmt_layout) layout = s_layout(text);
    rmt_auto(rmt_records) boot = rmt_records_new();
    const char *kind = NULL;
    RMT_FAILS(rmt_boot_code_read(disk, layout, boot, &kind, &error), code);
    if (!strstr(error.text, word))
        fail_msg("'%s' does not name '%s'", error.text, word);
}

static void
test_a_disk_that_ends_in_its_boot_code_is_told(void **state)
{
    (void) state;
    int fd = memfd_create("disk", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, 100), 0);
    s_assert_fails(fd, DOS, RMT_E_CORRUPT, "read the boot code");
    fd = s_disk(1, 2, 10);
    assert_int_equal(ftruncate(fd, 5 * 512), 0);
    s_assert_fails(fd, DOS, RMT_E_CORRUPT, "read GRUB's core");
    fd = s_disk(1, 2, 10);
    s_put(fd, 512 + 0x1fc, 60000, 2);
    s_assert_fails(fd, DOS_LARGE, RMT_E_TOO_BIG, "limit");
}

// Only the bit that a BIOS looks at is carried; a target refuses every other byte there.
static void
test_the_guard_of_a_gpt_is_carried(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_layout) layout = s_layout(GPT);
    rmt_auto(rmt_records) boot = rmt_records_new();
    rmt_auto_fd fd = s_disk(2048, 2049, 100);
    s_put(fd, GUARD_AT, 0xff, 1);
    const char *kind = NULL;
    RMT_OK(rmt_boot_code_read(fd, layout, boot, &kind, &error));
    const rmt_record_t *piece = rmt_records_at(boot, rmt_records_count(boot) - 2);
    assert_int_equal(rmt_record_u64(piece, "offset", 0), GUARD_AT);
    RMT_OK(rmt_boot_code_check(layout, boot, &error));
}

static void
test_other_boot_code_is_named(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    static const struct {
        const char *text, *name;
    } rows[] = {{"LILO", "LILO"},
                {"Operating system load error", "SYSLINUX"},
                {"BOOTMGR is missing", "of Windows"},
                {"own", "of an unknown kind"}};
    rmt_auto(rmt_layout) layout = s_layout(DOS);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto(rmt_records) boot = rmt_records_new();
        rmt_auto_fd fd = memfd_create("disk", MFD_CLOEXEC);
        assert_int_equal(ftruncate(fd, 1 << 20), 0);
        const char *kind = NULL;
        RMT_OK(rmt_boot_code_read(fd, layout, boot, &kind, &error));
        assert_string_equal(kind, "");
        RMT_OK(rmt_io_pwrite(fd, rows[i].text, strlen(rows[i].text), 6, &error));
        RMT_OK(rmt_boot_code_read(fd, layout, boot, &kind, &error));
        assert_string_equal(kind, rows[i].name);
        assert_int_equal(rmt_records_count(boot), 0);
    }
}

static void
test_pieces_outside_of_boot_areas_are_refused(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    static const struct {
        const char *layout;
        uint64_t offset;
        size_t size;
    } rows[] = {
        {DOS, 2048 * 512, 512},             // The first partition
        {DOS, 2047 * 512, 1024},            // Over its border
        {DOS, 446, 1},                      // The table
        {DOS, 0, 512},                      // The table too
        {DOS, 513, 512},                    // Between sectors
        {GPT, 512, 512},                    // The head of the table
        {GPT, 4096 * 512, 512},             // Another partition
        {GPT, UINT64_MAX / 512 * 512, 512}, // No place at all
    };
    static const uint8_t zeros[1024];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto(rmt_layout) layout = s_layout(rows[i].layout);
        rmt_auto(rmt_records) boot = rmt_records_new();
        rmt_record_t *piece = rmt_records_add(boot);
        rmt_record_set_u64(piece, "offset", rows[i].offset);
        rmt_record_put(piece, "content", zeros, rows[i].size);
        if (rmt_boot_code_check(layout, boot, &error) != -1)
            fail_msg("row %zu was taken", i);
        assert_int_equal(error.code, RMT_E_REFUSED);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grub_is_carried_from_gap_and_boot_partition),
        cmocka_unit_test(test_grub_with_blocks_in_a_partition_is_refused),
        cmocka_unit_test(test_grub_that_cannot_be_read_whole_is_told),
        cmocka_unit_test(test_a_disk_that_ends_in_its_boot_code_is_told),
        cmocka_unit_test(test_the_guard_of_a_gpt_is_carried),
        cmocka_unit_test(test_other_boot_code_is_named),
        cmocka_unit_test(test_pieces_outside_of_boot_areas_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
