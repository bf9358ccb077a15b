// Disks: tables, loop devices and file systems with the real tools. Needs root.
#include "tools/disk_file.h"
#include "tools/test_folder.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/rmt_auto.h"
#include "disk/rmt_blockdev.h"
#include "disk/rmt_disk.h"
#include "facts/rmt_facts.h"
#include "disk/rmt_fs.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"

#define MIB ((uint64_t) 1024 * 1024)
#define GPT                                                                              \
    "class=disk role=root table=gpt guid=0F3B1A2C-0000-4000-8000-0000000000AA "          \
    "logical-sector=512 entries=128 first-lba=34"
#define LINUX "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
#define EFI "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"

static rmt_layout_t *
s_layout(const char *text)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) records = disk_file_facts(text);
    rmt_layout_t *layout = rmt_layout_read(records, &error);
    RMT_OK(layout);
    return layout;
}

// Write a layout, read it, and compare all partitions.
static void
s_round_trip(const char *text, uint64_t bytes)
{
    rmt_error_t error = {0};
    rmt_auto_str path = disk_file_make(test_folder, "table", bytes);
    rmt_auto(rmt_layout) layout = s_layout(text);
    rmt_auto(rmt_layout) written = rmt_disk_write(path, layout, 0, &error);
    RMT_OK(written);
    rmt_auto(rmt_layout) read = rmt_disk_read(path, "root", &error);
    RMT_OK(read);
    rmt_auto(rmt_records) records = disk_file_facts(text);
    rmt_auto(rmt_records) found = rmt_records_new();
    rmt_layout_write(read, found);
    assert_int_equal(rmt_records_count(found), rmt_records_count(records));
    for (size_t i = 0; i < rmt_records_count(records); i++) {
        const rmt_record_t *wanted = rmt_records_at(records, i);
        const rmt_record_t *had = rmt_records_at(found, i);
        for (size_t j = 0; j < rmt_record_count(wanted); j++) {
            const char *name = rmt_record_name_at(wanted, j);
            const char *value = rmt_record_text(wanted, name, "");
            if (strcmp(value, rmt_record_text(had, name, "-")) != 0)
                fail_msg("record %zu: %s is %s, not %s", i, name,
                         rmt_record_text(had, name, "-"), value);
        }
    }
    const char *const verify[] = {"sfdisk", "--verify", path, NULL};
    RMT_OK(rmt_process_run(verify, NULL, NULL, &error));
}

static void
test_tables_come_back_as_they_were_written(void **state)
{
    (void) state;
    s_round_trip(
        GPT "\n"
            "class=partition disk=root number=1 start=2048 size=2048 "
            "type=21686148-6449-6E6F-744E-656564454649 "
            "guid=0F3B1A2C-0000-4000-8000-000000000001 name=\"\" attrs=0000000000000004\n"
            "class=partition disk=root number=3 start=69632 size=1001 "
            "type=DEADBEEF-0000-4000-8000-000000000003 "
            "guid=0F3B1A2C-0000-4000-8000-000000000003 name=odd attrs=0000000000000000\n"
            "class=partition disk=root number=15 start=4096 size=65536 type=" EFI
            " guid=0F3B1A2C-0000-4000-8000-00000000000F name=\"EFI System\" "
            "attrs=8000000000000001\n",
        64 * MIB);
    s_round_trip(
        GPT
        "\n"
        "class=partition disk=root number=1 start=34 size=100 type=" LINUX
        " guid=0F3B1A2C-0000-4000-8000-000000000001 name=low attrs=0000000000000000\n",
        16 * MIB);
    s_round_trip(
        "class=disk role=root table=dos guid=0x1234abcd logical-sector=512\n"
        "class=partition disk=root number=1 start=63 size=10000 type=83 boot=yes\n"
        "class=partition disk=root number=2 start=10100 size=90000 type=05 boot=no\n"
        "class=partition disk=root number=5 start=10163 size=20000 type=82 boot=no\n"
        "class=partition disk=root number=6 start=30300 size=20001 type=83 boot=no\n",
        64 * MIB);
    s_round_trip("class=disk role=root table=none logical-sector=512\n", 16 * MIB);
}

static void
test_partitions_of_a_dos_table_are_known_by_its_id(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_auto_str path = disk_file_make(test_folder, "table", 64 * MIB);
    rmt_auto(rmt_layout) layout =
        s_layout("class=disk role=root table=dos guid=0x1234abcd logical-sector=512\n"
                 "class=partition disk=root number=2 start=2048 size=20480 type=83\n");
    rmt_auto(rmt_layout) written = rmt_disk_write(path, layout, 0, &error);
    RMT_OK(written);
    rmt_auto(rmt_layout) found = rmt_disk_read(path, "root", &error);
    RMT_OK(found);
    assert_string_equal(found->partitions[0].guid, "1234abcd-02");
    // What was read is written again.
    rmt_auto(rmt_layout) again = rmt_disk_write(path, found, 0, &error);
    RMT_OK(again);
}

static void
test_a_table_of_4096_byte_sectors_is_found(void **state)
{
    (void) state;
    s_round_trip(
        "class=disk role=root table=gpt guid=0F3B1A2C-0000-4000-8000-0000000000AA "
        "logical-sector=4096 entries=128 first-lba=6\n"
        "class=partition disk=root number=1 start=256 size=1024 type=" LINUX
        " guid=0F3B1A2C-0000-4000-8000-000000000001 name=a attrs=0000000000000000\n",
        64 * MIB);
}

static void
test_the_last_partition_grows_only_when_allowed(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_auto_str path = disk_file_make(test_folder, "grow", 128 * MIB);
    for (int grow = 0; grow < 2; grow++) {
        rmt_auto(rmt_layout) layout = s_layout(
            GPT "\n"
                "class=partition disk=root number=2 start=4096 size=8192 type=" LINUX "\n"
                "class=partition disk=root number=1 start=2048 size=2048 type=" LINUX
                "\n");
        layout->disks[0].grow = grow;
        rmt_auto(rmt_layout) written = rmt_disk_write(path, layout, 0, &error);
        RMT_OK(written);
        assert_int_equal(rmt_layout_find_partition(written, 0, 2)->size,
                         grow ? 127 * MIB / 512 - 4096 : 8192);
        assert_int_equal(rmt_layout_find_partition(written, 0, 1)->size, 2048);
    }
}

#define SWAP "type=0657FD6D-A4AB-43C4-84E5-0933C84B4F4F "
#define DOS_DISK                                                                         \
    "class=disk role=root table=dos guid=0x1234abcd logical-sector=512 grow=yes\n"

// M4: swap behind the partition that grows moves with the end, by whole MiB; so does an
// extended partition that holds nothing else.
static void
test_swap_at_the_end_moves_with_it(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        uint64_t mib;
        uint64_t wanted[3][3]; // Number, start, size
    } rows[] = {
        {GPT " grow=yes\n"
             "class=partition disk=root number=1 start=2048 size=20480 min-size=8192 "
             "type=" LINUX "\n"
             "class=partition disk=root number=2 start=22528 size=8192 " SWAP
             "at-end=yes\n",
         128,
         {{1, 2048, 20480 + 229376}, {2, 251904, 8192}}},
        // Two of them, and borders that are none of 1 MiB.
        {GPT
         " grow=yes\n"
         "class=partition disk=root number=3 start=2048 size=20000 min-size=8192 "
         "type=" LINUX "\n"
         "class=partition disk=root number=1 start=22050 size=4000 " SWAP "at-end=yes\n"
         "class=partition disk=root number=2 start=26100 size=4001 " SWAP "at-end=yes\n",
         128,
         {{3, 2048, 20000 + 229376}, {1, 251426, 4000}, {2, 255476, 4001}}},
        // A smaller disk.
        {GPT " grow=yes\n"
             "class=partition disk=root number=1 start=2048 size=40960 min-size=8192 "
             "type=" LINUX "\n"
             "class=partition disk=root number=2 start=43008 size=8192 " SWAP
             "at-end=yes\n",
         16,
         {{1, 2048, 40960 - 20480}, {2, 43008 - 20480, 8192}}},
        {DOS_DISK
         "class=partition disk=root number=1 start=2048 size=20480 type=83 boot=yes\n"
         "class=partition disk=root number=2 start=24574 size=8194 type=05\n"
         "class=partition disk=root number=5 start=24576 size=8192 type=82 at-end=yes\n",
         128,
         {{1, 2048, 20480 + 229376}, {2, 253950, 8194}, {5, 253952, 8192}}},
        // Up to the end: the size is a multiple of 4096 bytes, as LUKS may need.
        {GPT " grow=yes\n"
             "class=partition disk=root number=1 start=2048 size=40960 min-size=30680 "
             "type=" LINUX "\n",
         16,
         {{1, 2048, 30680}}},
        // The extended partition holds both.
        {DOS_DISK
         "class=partition disk=root number=1 start=2046 size=30722 type=05\n"
         "class=partition disk=root number=5 start=4096 size=16384 type=83\n"
         "class=partition disk=root number=6 start=24576 size=8192 type=82 at-end=yes\n",
         128,
         {{1, 2046, 30722 + 229376}, {5, 4096, 16384 + 229376}, {6, 253952, 8192}}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto_str path = disk_file_make(test_folder, "moved", rows[i].mib * MIB);
        rmt_auto(rmt_layout) layout = s_layout(rows[i].text);
        rmt_auto(rmt_layout) written = rmt_disk_write(path, layout, 0, &error);
        RMT_OK(written);
        for (size_t j = 0; j < 3 && rows[i].wanted[j][0]; j++) {
            const rmt_layout_partition_t *had =
                rmt_layout_find_partition(written, 0, rows[i].wanted[j][0]);
            if (had->start != rows[i].wanted[j][1] || had->size != rows[i].wanted[j][2])
                fail_msg("row %zu: partition %llu lies at %llu, %llu", i,
                         (unsigned long long) had->number,
                         (unsigned long long) had->start, (unsigned long long) had->size);
        }
        const char *const verify[] = {"sfdisk", "--verify", path, NULL};
        RMT_OK(rmt_process_run(verify, NULL, NULL, &error));
    }
}

static void
test_a_smaller_disk_is_refused_with_both_sizes_and_untouched(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_auto_str path = disk_file_make(test_folder, "small", 8 * MIB);
    rmt_auto_fd fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "old", 3, 0), 3);
    rmt_auto(rmt_layout) layout =
        s_layout(GPT "\n"
                     "class=partition disk=root number=1 start=2048 size=20480 "
                     "min-size=20000 type=" LINUX);
    RMT_FAILS(rmt_disk_write(path, layout, 0, &error), RMT_E_NO_SPACE);
    const uint64_t needed = (2048 + 20480 + 33) * 512;
    assert_int_equal(rmt_layout_min_bytes(layout, 0), needed);
    rmt_auto_str number = rmt_text("%llu", (unsigned long long) needed);
    assert_non_null(strstr(error.text, number));
    assert_non_null(strstr(error.text, "8388608"));
    char text[3];
    assert_int_equal(pread(fd, text, 3, 0), 3);
    assert_memory_equal(text, "old", 3);
    layout->disks[0].grow = true;
    assert_int_equal(rmt_layout_min_bytes(layout, 0), (2048 + 20000 + 33) * 512);
}

static void
test_old_boot_code_and_signatures_are_gone_after_a_new_table(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_auto_str path = disk_file_make(test_folder, "old", 64 * MIB);
    const char *const mkfs[] = {"mkfs.ext4", "-q", "-F", path, NULL};
    RMT_OK(rmt_process_run(mkfs, NULL, NULL, &error));
    rmt_auto_fd fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "bootcode", 8, 0), 8);
    rmt_auto(rmt_layout) layout =
        s_layout("class=disk role=root table=dos guid=0x1234abcd logical-sector=512\n"
                 "class=partition disk=root number=1 start=2048 size=20480 type=83");
    rmt_auto(rmt_layout) written = rmt_disk_write(path, layout, 0, &error);
    RMT_OK(written);
    char text[8];
    assert_int_equal(pread(fd, text, 8, 0), 8);
    assert_memory_equal(text, "\0\0\0\0\0\0\0\0", 8);
    const char *const wipefs[] = {"wipefs", "-p", path, NULL};
    rmt_auto_str output = disk_file_output(wipefs);
    assert_null(strstr(output, "ext4"));
}

static void
test_a_hybrid_mbr_is_refused_by_name(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_auto_str path = disk_file_make(test_folder, "hybrid", 64 * MIB);
    rmt_auto(rmt_layout) layout = s_layout(GPT);
    rmt_auto(rmt_layout) written = rmt_disk_write(path, layout, 0, &error);
    RMT_OK(written);
    rmt_auto_fd fd = open(path, O_RDWR | O_CLOEXEC);
    const unsigned char entry[16] = {[4] = 0x83, [8] = 100, [12] = 10};
    assert_int_equal(pwrite(fd, entry, 16, 446 + 16), 16);
    RMT_FAILS(rmt_disk_read(path, "root", &error), RMT_E_UNSUPPORTED);
}

static void
test_layers_are_refused_by_name(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    static const struct {
        const char *name;
        const char *magic;
        size_t size;
        off_t offset;
    } rows[] = {
        {"crypto_LUKS", "LUKS\xba\xbe\0\1", 8, 0},
        {"bcache", "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81", 16,
         4120},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto_str path = disk_file_make(test_folder, "layer", 64 * MIB);
        rmt_auto_fd fd = open(path, O_RDWR | O_CLOEXEC);
        assert_int_equal(pwrite(fd, rows[i].magic, rows[i].size, rows[i].offset),
                         (ssize_t) rows[i].size);
        if (i == 1) // bcache tells its own offset in sectors
            assert_int_equal(pwrite(fd, "\x08\0\0\0\0\0\0\0", 8, 4096 + 8), 8);
        RMT_FAILS(rmt_fs_probe(path, &error), RMT_E_UNSUPPORTED);
        assert_non_null(strstr(error.text, rows[i].name));
        RMT_OK(rmt_fs_wipe(path, &error));
        rmt_auto(rmt_record) blank = rmt_fs_probe(path, &error);
        RMT_OK(blank);
        assert_string_equal(rmt_record_text(blank, "fs", ""), "none");
    }
}

static void
test_two_signatures_are_refused_and_wiped(void **state)
{
    (void) state;
    rmt_auto_str path = disk_file_make(test_folder, "both", 64 * MIB);
    const char *const mkfs[] = {"mkfs.ext4", "-q", "-F", path, NULL};
    const char *const swap[] = {"mkswap", path, NULL};
    rmt_error_t error = {0};
    RMT_OK(rmt_process_run(swap, NULL, NULL, &error));
    rmt_auto_fd fd = open(path, O_RDWR | O_CLOEXEC);
    char page[10];
    assert_int_equal(pread(fd, page, 10, 4086), 10);
    RMT_OK(rmt_process_run(mkfs, NULL, NULL, &error));
    assert_int_equal(pwrite(fd, page, 10, 4086), 10);
    const unsigned char version[4] = {1};
    assert_int_equal(pwrite(fd, version, 4, 1024), 4);
    rmt_auto(rmt_record) found = rmt_fs_probe(path, &error);
    if (!found)
        assert_int_equal(error.code, RMT_E_REFUSED);
    RMT_OK(rmt_fs_wipe(path, &error));
    rmt_auto(rmt_record) blank = rmt_fs_probe(path, &error);
    RMT_OK(blank);
    assert_string_equal(rmt_record_text(blank, "fs", ""), "none");
}

static void
test_a_file_becomes_a_disk_with_mounted_partitions(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_auto_str path = disk_file_make(test_folder, "disk", 64 * MIB);
    rmt_auto_str nodes = rmt_text("%s/nodes", test_folder);
    rmt_auto_str folder = rmt_text("%s/mnt", test_folder);
    RMT_OK(rmt_io_mkdirs(nodes, 0700, &error));
    RMT_OK(rmt_io_mkdirs(folder, 0700, &error));
    rmt_auto(rmt_layout) layout = s_layout(
        GPT " grow=yes\n"
            "class=partition disk=root number=1 start=2048 size=8192 type=" LINUX);
    rmt_auto(rmt_records) volumes = disk_file_facts(
        "class=volume fs=ext4 label=r "
        "uuid=0f3b1a2c-0000-4000-8000-000000000009 features=has_journal,extent,filetype "
        "block-size=4096 inode-size=256");
    const rmt_record_t *volume = rmt_records_at(volumes, 0);
    for (int round = 0; round < 2; round++) { // A second install over the first
        rmt_auto(rmt_blockdev) disk = rmt_blockdev_new(path, 0, 0, nodes, &error);
        RMT_OK(disk);
        assert_int_equal(rmt_blockdev_bytes(disk), 64 * MIB);
        RMT_OK(rmt_blockdev_forget(disk, &error));
        rmt_auto(rmt_layout) written =
            rmt_disk_write(rmt_blockdev_path(disk), layout, 0, &error);
        RMT_OK(written);
        const rmt_layout_partition_t *first = &written->partitions[0];
        rmt_auto_str node =
            rmt_blockdev_partition(disk, 1, first->start, first->size, &error);
        RMT_OK(node);
        RMT_OK(rmt_fs_make(volume, node, &error));
        RMT_OK(rmt_fs_mount(RMT_FS_EXT4, NULL, node, folder, false, &error));
        rmt_auto_str file = rmt_text("%s/hello", folder);
        RMT_OK(rmt_io_save(file, "world", 5, 0644, &error));
        // A partition in use is neither forgotten nor replaced.
        RMT_FAILS(rmt_blockdev_forget(disk, &error), RMT_E_REFUSED);
        RMT_FAILS(rmt_blockdev_new(rmt_blockdev_path(disk), 0, 0, NULL, &error),
                  RMT_E_REFUSED);
        RMT_OK(rmt_fs_unmount(folder, &error));
        RMT_OK(rmt_blockdev_flush(disk, &error));
        RMT_OK(rmt_fs_mount(RMT_FS_EXT4, NULL, node, folder, true, &error));
        rmt_auto_ptr data = NULL;
        size_t size;
        RMT_OK(rmt_io_load(file, 100, &data, &size, &error));
        assert_string_equal(data, "world");
        RMT_FAILS(rmt_io_save(file, "x", 1, 0644, &error), RMT_E_DISK);
        RMT_OK(rmt_fs_unmount(folder, &error));
    }
    rmt_auto_str losetup =
        disk_file_output((const char *const[]){"losetup", "-j", path, NULL});
    assert_string_equal(losetup, "");
}

static void
test_a_volume_of_the_least_size_holds_its_tree(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_auto(rmt_records) volumes = disk_file_facts(
        "class=volume fs=ext4 "
        "features=has_journal,ext_attr,resize_inode,dir_index,filetype,extent,"
        "64bit,flex_bg,"
        "sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum "
        "block-size=4096 inode-size=256 reserved-percent=5.00 inodes=65536 "
        "bytes=1073741824 "
        "inodes-used=3100");
    const rmt_record_t *volume = rmt_records_at(volumes, 0);
    const uint64_t files = 3000;
    const uint64_t bytes = files * 20000;
    const uint64_t least = rmt_fs_min_bytes(volume, bytes, files + 1);
    assert_true(least < bytes * 3 / 2);
    rmt_auto_str path = disk_file_make(test_folder, "least", least);
    rmt_auto_str folder = rmt_text("%s/mnt", test_folder);
    RMT_OK(rmt_io_mkdirs(folder, 0700, &error));
    rmt_auto(rmt_blockdev) disk = rmt_blockdev_new(path, 0, 0, NULL, &error);
    RMT_OK(disk);
    RMT_OK(rmt_fs_make(volume, rmt_blockdev_path(disk), &error));
    RMT_OK(
        rmt_fs_mount(RMT_FS_EXT4, NULL, rmt_blockdev_path(disk), folder, false, &error));
    rmt_auto_ptr data = calloc(1, 20000);
    int failures = 0;
    for (uint64_t i = 0; i < files; i++) {
        rmt_auto_str name = rmt_text("%s/%llu", folder, (unsigned long long) i);
        rmt_auto_fd fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        failures += fd == -1 || write(fd, data, 20000) != 20000;
    }
    const int synced = rmt_fs_unmount(folder, &error);
    assert_int_equal(failures, 0);
    assert_int_equal(synced, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_come_back_as_they_were_written),
        cmocka_unit_test(test_partitions_of_a_dos_table_are_known_by_its_id),
        cmocka_unit_test(test_a_table_of_4096_byte_sectors_is_found),
        cmocka_unit_test(test_the_last_partition_grows_only_when_allowed),
        cmocka_unit_test(test_swap_at_the_end_moves_with_it),
        cmocka_unit_test(test_a_smaller_disk_is_refused_with_both_sizes_and_untouched),
        cmocka_unit_test(test_old_boot_code_and_signatures_are_gone_after_a_new_table),
        cmocka_unit_test(test_a_hybrid_mbr_is_refused_by_name),
        cmocka_unit_test(test_layers_are_refused_by_name),
        cmocka_unit_test(test_two_signatures_are_refused_and_wiped),
        cmocka_unit_test(test_a_file_becomes_a_disk_with_mounted_partitions),
        cmocka_unit_test(test_a_volume_of_the_least_size_holds_its_tree),
    };
    return cmocka_run_group_tests(tests, test_folder_make, test_folder_remove);
}
