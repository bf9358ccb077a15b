// lib/disk/rmt_super: superblocks whose numbers do not add up (P16).
#include "tools/rmt_test.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_bytes.h"
#include "base/rmt_io.h"
#include "disk/rmt_super.h"

#define DISK_SIZE ((off_t) 128 * 1024)

typedef struct {
    size_t at;
    uint64_t number; // Little-endian, or big-endian for XFS
    size_t size;
} field_t;

static void
s_put(uint8_t *super, const field_t *field, bool is_big)
{
    for (size_t i = 0; i < field->size; i++)
        super[field->at + (is_big ? field->size - 1 - i : i)] =
            (uint8_t) (field->number >> 8 * i);
}

// A file system with these fields, and one more.
static int
s_read(rmt_super_read_t *read, off_t at, const field_t *fields, const field_t *odd,
       rmt_record_t *volume, rmt_error_t *error)
{
    uint8_t super[1024] = {0};
    const bool is_big = read == rmt_super_read_xfs;
    for (; fields->size; fields++)
        s_put(super, fields, is_big);
    if (odd)
        s_put(super, odd, is_big);
    rmt_auto_fd fd = memfd_create("disk", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, DISK_SIZE), 0);
    assert_int_equal(rmt_io_pwrite(fd, super, sizeof super, at, error), 0);
    return read(fd, volume, error);
}

static void
s_try(rmt_super_read_t *read, off_t at, const field_t *fields, const field_t *odd)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_record) good = rmt_record_new();
    RMT_OK(s_read(read, at, fields, NULL, good, &error));
    assert_int_equal(rmt_record_u64(good, "bytes", 0), 4096 * 1000);
    for (; odd->size; odd++) {
        rmt_auto(rmt_record) volume = rmt_record_new();
        RMT_FAILS(s_read(read, at, fields, odd, volume, &error), RMT_E_CORRUPT);
    }
}

static void
test_an_ext_that_is_larger_than_numbers_or_uses_more_than_all_is_damaged(void **state)
{
    (void) state;
    // Inodes and blocks, of which some are free and reserved; size of a block; revision
    static const field_t good[] = {{0, 100, 4},   {4, 1000, 4},    {8, 50, 4},
                                   {0xc, 900, 4}, {0x10, 90, 4},   {0x18, 2, 4},
                                   {0x4c, 1, 4},  {0x60, 0x80, 4}, {0, 0, 0}};
    static const field_t odd[] = {{0x150, 1u << 31, 4}, {8, 1001, 4},  {0x154, 1, 4},
                                  {0xc, 1001, 4},       {0x158, 1, 4}, {0x10, 101, 4},
                                  {0x18, 7, 4},         {0, 0, 0}};
    s_try(rmt_super_read_ext, 1024, good, odd);
}

static void
test_an_xfs_that_is_larger_than_numbers_is_damaged(void **state)
{
    (void) state;
    static const field_t good[] = {{4, 4096, 4}, {8, 1000, 8}, {0, 0, 0}};
    static const field_t odd[] = {{8, UINT64_MAX / 4096 + 1, 8}, {4, 0, 4}, {0, 0, 0}};
    s_try(rmt_super_read_xfs, 0, good, odd);
}

static void
test_a_btrfs_that_uses_more_than_all_is_damaged(void **state)
{
    (void) state;
    static const field_t good[] = {
        {0x88, 1, 4}, {0x70, 4096 * 1000, 8}, {0x78, 4096, 8}, {0, 0, 0}};
    static const field_t odd[] = {
        {0x78, 4096 * 1000 + 1, 8}, {0x78, UINT64_MAX, 8}, {0, 0, 0}};
    s_try(rmt_super_read_btrfs, 65536, good, odd);
}

// M8: the words that an admin reads of a disk that is not what its label says.
static void
test_what_cannot_be_made_again_is_refused_by_its_name(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    static const field_t ext[] = {
        {0, 100, 4}, {4, 1000, 4}, {0x4c, 1, 4}, {0x60, 0x80, 4}, {0, 0, 0}};
    static const field_t encrypted = {0x60, 0x10080, 4}, unknown = {0x60, 1u << 30, 4};
    rmt_auto(rmt_record) volume = rmt_record_new();
    rmt_record_set(volume, "fs", "ext4");
    RMT_FAILS(s_read(rmt_super_read_ext, 1024, ext, &encrypted, volume, &error),
              RMT_E_UNSUPPORTED);
    assert_string_equal(error.text,
                        "ext4 has the feature encrypt, which is not supported");
    RMT_FAILS(s_read(rmt_super_read_ext, 1024, ext, &unknown, volume, &error),
              RMT_E_UNSUPPORTED);
    assert_non_null(strstr(error.text, "features 0x40000000 that are not supported"));
}

static void
test_a_device_that_ends_before_its_superblock_is_told(void **state)
{
    (void) state;
    static rmt_super_read_t *const readers[] = {rmt_super_read_ext, rmt_super_read_xfs,
                                                rmt_super_read_btrfs,
                                                rmt_super_read_vfat};
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        rmt_error_t error = {0};
        rmt_auto_fd fd = memfd_create("disk", MFD_CLOEXEC);
        assert_int_equal(ftruncate(fd, 100), 0);
        rmt_auto(rmt_record) volume = rmt_record_new();
        assert_int_equal(readers[i](fd, volume, &error), -1);
        assert_string_not_equal(error.text, "");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_an_ext_that_is_larger_than_numbers_or_uses_more_than_all_is_damaged),
        cmocka_unit_test(test_an_xfs_that_is_larger_than_numbers_is_damaged),
        cmocka_unit_test(test_a_btrfs_that_uses_more_than_all_is_damaged),
        cmocka_unit_test(test_what_cannot_be_made_again_is_refused_by_its_name),
        cmocka_unit_test(test_a_device_that_ends_before_its_superblock_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
