// Old contents of a disk: real file systems, layers and tables are written to files and
// loop devices, and nothing is found afterwards (M21). Needs root.
#include "tools/gpt_sum.h"
#include "tools/test_folder.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/rmt_auto.h"
#include "disk/rmt_blockdev.h"
#include "disk/rmt_disk.h"
#include "facts/rmt_facts.h"
#include "disk/rmt_fs.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"
#include "base/rmt_bytes.h"
#include "disk/rmt_disk_contents.h"

#define MIB ((uint64_t) 1024 * 1024)
#define GIB (1024 * MIB)

static char *
s_file(const char *name, uint64_t bytes)
{
    char *path = rmt_text("%s/%s", test_folder, name);
    (void) unlink(path);
    rmt_auto_fd fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, (off_t) bytes), 0);
    return path;
}

static char *
s_types(const char *device)
{
    rmt_error_t error = {0};
    const char *const wipefs[] = {"wipefs", "-p", device, NULL};
    char *output = NULL;
    RMT_OK(rmt_process_run(wipefs, NULL, &output, &error));
    return output;
}

// ---- What makes old contents. Each leaves `type` on the device, as wipefs calls it.

static void
s_run(const char *const *words, const char *device)
{
    rmt_error_t error = {0};
    const char *line[16] = {0};
    size_t count = 0;
    for (; words[count]; count++)
        line[count] = words[count];
    line[count] = device;
    RMT_OK(rmt_process_run(line, "secret", NULL, &error));
}

// Software RAID needs a driver to be made, but is known by its superblock: version 1
// at the offset of 1.0 (end), 1.1 (start) or 1.2 (4 KiB), with a checksum that fits.
static void
s_put_raid(const char *device, uint64_t offset)
{
    rmt_error_t error = {0};
    uint32_t super[64] = {0xa92b4efc, 1};
    uint64_t sum = 0;
    const uint64_t sector = offset / 512;
    memset(super + 4, 0x5a, 16);
    super[32 + 0] = 0x1000; // data size
    super[36] = (uint32_t) sector;
    super[37] = (uint32_t) (sector >> 32);
    for (size_t i = 0; i < 64; i++)
        sum += super[i];
    super[54] = (uint32_t) (sum & 0xffffffff) + (uint32_t) (sum >> 32);
    rmt_auto_fd fd = open(device, O_RDWR | O_CLOEXEC);
    RMT_OK(rmt_io_pwrite(fd, super, sizeof super, (off_t) offset, &error));
}

typedef struct {
    const char *type;
    const char *words[10];
    uint64_t raid; // Offset of a superblock from the start, or 1 for the end
} old_t;

static const old_t s_olds[] = {
    {"ext4", {"mkfs.ext4", "-q", "-F"}, 0},
    {"xfs", {"mkfs.xfs", "-q", "-f"}, 0},
    {"btrfs", {"mkfs.btrfs", "-q", "-f"}, 0},
    {"vfat", {"mkfs.vfat", "-I"}, 0},
    {"swap", {"mkswap"}, 0},
    {"LVM2_member", {"pvcreate", "-qq", "-y", "-ff"}, 0},
    {"crypto_LUKS",
     {"cryptsetup", "-q", "luksFormat", "--type", "luks1", "--pbkdf-force-iterations",
      "1000"},
     0},
    {"crypto_LUKS",
     {"cryptsetup", "-q", "luksFormat", "--type", "luks2", "--pbkdf", "pbkdf2",
      "--pbkdf-force-iterations", "1000"},
     0},
    {"linux_raid_member", {NULL}, 4096},
    {"linux_raid_member", {NULL}, 1},
};

#define OLD_COUNT (sizeof s_olds / sizeof *s_olds)

static void
s_make_old(const old_t *old, const char *device, uint64_t bytes)
{
    if (old->raid)
        s_put_raid(device, old->raid == 1 ? (bytes / 512 / 8 * 8 - 16) * 512 : old->raid);
    else
        s_run(old->words, device);
    rmt_auto_str types = s_types(device);
    if (!strstr(types, old->type))
        fail_msg("%s was not made: %s", old->type, types);
}

// ---- The cases

static void
test_whole_disks_of_all_kinds_are_cleared(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    const uint64_t bytes = 400 * MIB;
    for (size_t i = 0; i < OLD_COUNT; i++) {
        rmt_auto_str path = s_file("disk", bytes);
        rmt_auto(rmt_blockdev) device = rmt_blockdev_new(path, 0, 512, NULL, &error);
        RMT_OK(device);
        s_make_old(&s_olds[i], rmt_blockdev_path(device), bytes);
        RMT_OK(rmt_disk_clear(rmt_blockdev_path(device), &error));
        rmt_auto_str types = s_types(rmt_blockdev_path(device));
        assert_string_equal(types, "");
    }
}

// A partition of an old table, on its own.
static char *
s_partition(rmt_blockdev_t *device, uint64_t start, uint64_t size)
{
    rmt_error_t error = {0};
    char *path = rmt_blockdev_partition(device, 1, start, size, &error);
    RMT_OK(path);
    return path;
}

// The new table has other borders, so nothing of it touches the old ones.
static void
s_assert_gone(const char *table, const old_t *old, bool backup_only)
{
    rmt_error_t error = {0};
    static const char layout_text[] =
        "class=disk role=root table=dos guid=0x1234abcd logical-sector=512\n"
        "class=partition disk=root number=1 start=63 size=1000 type=83";
    const uint64_t bytes = 420 * MIB, start = 4096, size = 400 * MIB / 512;
    rmt_auto_str path = s_file("disk", bytes);
    rmt_auto_str script =
        rmt_text("label: %s\nstart=%d, size=%d\n", table, (int) start, (int) size);
    const char *const sfdisk[] = {"sfdisk", "-q", path, NULL};
    RMT_OK(rmt_process_run(sfdisk, script, NULL, &error));
    rmt_auto(rmt_blockdev) device = rmt_blockdev_new(path, 0, 512, NULL, &error);
    RMT_OK(device);
    rmt_auto_str before = s_partition(device, start, size);
    s_make_old(old, before, size * 512);
    RMT_OK(rmt_blockdev_forget(device, &error));
    static const char zeros[1024];
    if (backup_only)
        RMT_OK(rmt_io_pwrite(rmt_blockdev_fd(device), zeros, sizeof zeros, 0, &error));
    rmt_auto(rmt_records) records = rmt_facts_parse(layout_text, &error);
    rmt_auto(rmt_layout) layout = rmt_layout_read(records, &error);
    rmt_auto(rmt_layout) written =
        rmt_disk_write(rmt_blockdev_path(device), layout, 0, &error);
    if (!written)
        fail_msg("%s in %s: %s", old->type, table, error.text);
    rmt_auto_str after = s_partition(device, start, size);
    rmt_auto_str types = s_types(after);
    if (*types)
        fail_msg("%s in %s is found again: %s", old->type, table, types);
}

static void
test_leaves_in_old_partitions_are_cleared_before_the_table(void **state)
{
    (void) state;
    for (size_t i = 0; i < OLD_COUNT; i++) {
        s_assert_gone("gpt", &s_olds[i], false);
        s_assert_gone("dos", &s_olds[i], false);
    }
    s_assert_gone("gpt", &s_olds[5], true);
}

static void
test_far_copies_of_a_btrfs_superblock_are_cleared(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_auto_str path = s_file("disk", 400 * MIB);
    s_make_old(&s_olds[2], path, 400 * MIB);
    RMT_OK(rmt_disk_clear(path, &error));
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    char magic[8];
    RMT_OK(rmt_io_pread(fd, magic, 8, 64 * (off_t) MIB + 64, &error));
    assert_memory_equal(magic, "\0\0\0\0\0\0\0\0", 8);
}

static void
test_tables_of_larger_disks_and_damaged_ones_are_cleared(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_auto_str path = s_file("disk", 300 * MIB);
    static const char script[] = "label: gpt\nsize=200M\n\n";
    const char *const sfdisk[] = {"sfdisk", "-q", path, NULL};
    RMT_OK(rmt_process_run(sfdisk, script, NULL, &error));
    assert_int_equal(truncate(path, 100 * (off_t) MIB), 0);
    RMT_OK(rmt_disk_clear(path, &error));
    rmt_auto_str types = s_types(path);
    assert_string_equal(types, "");
}

// ---- A hostile table

// A head that is right in itself, of a table of 1 GiB.
static void
s_put_large_gpt(const char *path, uint64_t bytes)
{
    rmt_error_t error = {0};
    uint8_t head[92] = "EFI PART";
    rmt_put32(head + 8, 0x00010000);
    rmt_put32(head + 12, sizeof head);
    rmt_put64(head + 24, 1);                      // Its sector
    rmt_put64(head + 32, bytes / 512 - 1);        // And that of the other copy
    rmt_put64(head + 40, 2 + GIB / 512);          // The first sector of partitions
    rmt_put64(head + 48, bytes / 512 - 34);       // And the last one
    rmt_put64(head + 72, 2);                      // The entries
    rmt_put32(head + 80, (uint32_t) (GIB / 128)); // How many
    rmt_put32(head + 84, 128);
    rmt_put32(head + 16, gpt_sum(head, sizeof head));
    rmt_auto_fd fd = open(path, O_RDWR | O_CLOEXEC);
    RMT_OK(rmt_io_pwrite(fd, head, sizeof head, 512, &error));
}

static void
test_a_table_of_a_gigabyte_takes_no_memory(void **state)
{
    rmt_error_t error = {0};
    struct rusage before, after;
    (void) state;
    const uint64_t bytes = GIB + 100 * MIB;
    rmt_auto_str path = s_file("disk", bytes);
    s_put_large_gpt(path, bytes);
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    rmt_auto(rmt_records) records = rmt_records_new();
    RMT_FAILS(rmt_disk_contents(path, "disk", 512, records, &error), RMT_E_UNSUPPORTED);
    RMT_FAILS(rmt_fs_probe(path, &error), RMT_E_UNSUPPORTED);
    RMT_FAILS(rmt_disk_read(path, "disk", &error), RMT_E_UNSUPPORTED);
    RMT_OK(rmt_disk_clear(path, &error));
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    assert_true(after.ru_maxrss - before.ru_maxrss < 100 * 1024); // KiB
    rmt_auto_str types = s_types(path);
    assert_string_equal(types, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_disks_of_all_kinds_are_cleared),
        cmocka_unit_test(test_leaves_in_old_partitions_are_cleared_before_the_table),
        cmocka_unit_test(test_far_copies_of_a_btrfs_superblock_are_cleared),
        cmocka_unit_test(test_tables_of_larger_disks_and_damaged_ones_are_cleared),
        cmocka_unit_test(test_a_table_of_a_gigabyte_takes_no_memory),
    };
    return cmocka_run_group_tests(tests, test_folder_make, test_folder_remove);
}
