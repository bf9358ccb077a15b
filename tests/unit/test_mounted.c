// What a running system lies on (M4): its disk is found, layers are refused by name.
#include "tools/rmt_test.h"
#include "tools/root_tree.h"
#include <string.h>
#include <sys/stat.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_mounted.h"

static void
s_link(const char *number, const char *device)
{
    rmt_auto_str path = rmt_text("dev/block/%s", number);
    rmt_auto_str target = rmt_text("../../%s", device);
    root_tree_link(path, target);
}

static int
s_setup(void **state)
{
    if (root_tree_setup(state) == -1)
        return -1;
    root_tree_put("devices/vda/size", "1");
    root_tree_put("devices/vda/vda1/partition", "1");
    root_tree_put("devices/c!d0/c!d0p1/partition", "1");
    root_tree_put("devices/dm-0/dm/uuid", "LVM-abc\n");
    root_tree_put("devices/dm-1/dm/uuid", "CRYPT-PLAIN-abc\n");
    root_tree_put("devices/md0/md/level", "raid1\n");
    root_tree_put("devices/md0/md0p1/partition", "1");
    root_tree_put("devices/dm-2/dm/uuid", "mpath-36001405abc\n");
    root_tree_put("devices/dm-3/dm/uuid", "part1-mpath-36001405abc\n");
    root_tree_put("devices/dm-4/dm/uuid", "CRYPT-VERITY-abc\n");
    root_tree_put("devices/dm-5/dm/uuid", "DRIVER-abc\n");
    // A volume of LVM on a partition, one on that one, and one on an encrypted volume.
    root_tree_put("devices/dm-6/dm/uuid", "LVM-abc\n");
    root_tree_link("devices/dm-6/slaves/vda1", "../../vda/vda1");
    root_tree_put("devices/dm-7/dm/uuid", "LVM-abc-real\n");
    root_tree_link("devices/dm-7/slaves/dm-6", "../../dm-6");
    root_tree_put("devices/dm-8/dm/uuid", "LVM-abc\n");
    root_tree_link("devices/dm-8/slaves/dm-1", "../../dm-1");
    // LUKS that is open on a partition, and a volume of LVM in it.
    root_tree_put("devices/dm-9/dm/uuid", "CRYPT-LUKS2-abc-data\n");
    root_tree_link("devices/dm-9/slaves/vda1", "../../vda/vda1");
    root_tree_put("devices/dm-10/dm/uuid", "LVM-abc\n");
    root_tree_link("devices/dm-10/slaves/dm-9", "../../dm-9");
    // An array on partitions, one on whole disks, and a volume of LVM on the first.
    root_tree_put("devices/md1/md/level", "raid1\n");
    root_tree_link("devices/md1/slaves/vda1", "../../vda/vda1");
    root_tree_put("devices/md2/md/level", "raid1\n");
    root_tree_link("devices/md2/slaves/vda", "../../vda");
    root_tree_put("devices/dm-11/dm/uuid", "LVM-abc\n");
    root_tree_link("devices/dm-11/slaves/md1", "../../md1");
    s_link("9:0", "devices/md0");
    s_link("9:1", "devices/md1");
    s_link("9:2", "devices/md2");
    s_link("253:11", "devices/dm-11");
    s_link("253:9", "devices/dm-9");
    s_link("253:10", "devices/dm-10");
    s_link("253:6", "devices/dm-6");
    s_link("253:7", "devices/dm-7");
    s_link("253:8", "devices/dm-8");
    root_tree_put("devices/bcache0/bcache/state", "clean\n");
    root_tree_put("devices/drbd0/size", "1");
    s_link("253:2", "devices/dm-2");
    s_link("253:3", "devices/dm-3");
    s_link("253:4", "devices/dm-4");
    s_link("253:5", "devices/dm-5");
    s_link("252:0", "devices/bcache0");
    s_link("147:0", "devices/drbd0");
    s_link("254:0", "devices/vda");
    s_link("254:1", "devices/vda/vda1");
    s_link("104:1", "devices/c!d0/c!d0p1");
    s_link("253:0", "devices/dm-0");
    s_link("253:1", "devices/dm-1");
    s_link("259:7", "devices/md0/md0p1");
    return 0;
}

static void
test_the_disk_below_a_mount_is_found_and_layers_are_named(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    static const struct {
        const char *number, *type, *disk, *layer;
    } rows[] = {
        {"254:1", "ext4", "/dev/vda", NULL},
        {"104:1", "xfs", "/dev/c/d0", NULL},
        {"254:0", "ext4", "", NULL},
        {"0:55", "tmpfs", "", NULL},
        {"253:6", "ext4", "/dev/vda", NULL},
        {"253:7", "xfs", "/dev/vda", NULL},
        {"253:8", "ext4", NULL, "encrypted"},
        {"253:9", "ext4", "/dev/vda", NULL},
        {"253:10", "ext4", "/dev/vda", NULL},
        {"253:0", "ext4", NULL, "LVM"},
        {"253:1", "ext4", NULL, "encrypted"},
        {"259:7", "ext4", NULL, "RAID"},
        {"9:0", "ext4", NULL, "RAID"},
        {"9:1", "ext4", "/dev/vda", NULL},
        {"9:2", "ext4", NULL, "RAID"},
        {"253:11", "xfs", "/dev/vda", NULL},
        {"0:60", "zfs", NULL, "ZFS"},
        {"253:2", "ext4", NULL, "multipath"},
        {"253:3", "ext4", NULL, "multipath"},
        {"253:4", "ext4", NULL, "encrypted"},
        {"253:5", "ext4", NULL, "device-mapper"},
        {"252:0", "xfs", NULL, "bcache"},
        {"147:0", "ext4", NULL, "DRBD"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto_str table = rmt_text("20 1 8:9 / / rw - ext4 /dev/nothing rw\n"
                                      "21 20 0:5 / /proc rw - proc proc rw\n"
                                      "22 1 %s / / rw,relatime shared:1 - %s tank rw\n"
                                      "23 1 8:9 / /boot rw - ext4 /dev/nothing rw\n",
                                      rows[i].number, rows[i].type);
        rmt_auto_str disk = NULL;
        const int rc = rmt_mounted_disk_at(table, root_tree_path(), "/", &disk, &error);
        if (rows[i].disk) {
            RMT_OK(rc);
            assert_string_equal(disk, rows[i].disk);
            continue;
        }
        RMT_FAILS(rc, RMT_E_UNSUPPORTED);
        if (!strstr(error.text, rows[i].layer))
            fail_msg("'%s' does not name %s", error.text, rows[i].layer);
    }
}

static void
test_a_folder_that_is_no_mount_is_told(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_auto_str disk = NULL;
    RMT_FAILS(rmt_mounted_disk_at("garbage\n", root_tree_path(), "/", &disk, &error),
              RMT_E_NOT_FOUND);
}

// Blanks stand in the table as digits, and a line may end in the middle of some.
static void
test_a_folder_with_blanks_is_found(void **state)
{
    (void) state;
    static const char *const folders[] = {"/srv/two words", "/srv/tab\tand\\040", NULL};
    static const char table[] =
        "1 0 254:1 / /srv/two\\040words rw - ext4 /dev/vda1 rw\n"
        "2 0 254:1 / /srv/tab\\011and\\134040 rw - ext4 /dev/vda1 rw\n"
        "3 0 254:1 / /srv/cut\\0 rw - ext4 /dev/vda1\\";
    for (size_t i = 0; folders[i]; i++) {
        rmt_error_t error = {0};
        rmt_auto_str disk = NULL;
        RMT_OK(rmt_mounted_disk_at(table, root_tree_path(), folders[i], &disk, &error));
        assert_string_equal(disk, "/dev/vda");
    }
}

static void
test_what_is_mounted_for_a_while_has_no_place_in_the_system(void **state)
{
    (void) state;
    static const struct {
        const char *folder, *root, *place;
    } rows[] = {
        {"/", "/", "/"},
        {"/boot", "/", "/boot"},
        {"/mnt", "/", NULL},
        {"/mnt/stick", "/", NULL},
        {"/mntx", "/", "/mntx"},
        {"/run/media/me/stick", "/", NULL},
        {"/mnt", "/mnt", "/"},
        {"/mnt/boot", "/mnt", "/boot"},
        {"/mnt/tmp/x", "/mnt", NULL},
        {"/mnt2/boot", "/mnt", NULL},
        {"/boot", "/mnt", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *place = rmt_mounted_point(rows[i].folder, rows[i].root);
        if (!rows[i].place != !place || (place && strcmp(place, rows[i].place) != 0))
            fail_msg("%s of %s: %s", rows[i].folder, rows[i].root, place);
    }
}

static void
test_a_device_that_is_not_mounted_has_no_folder(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    char *folder = NULL;
    RMT_OK(rmt_mounted_folder("/dev/null", NULL, &folder, &error));
    assert_null(folder);
    RMT_FAILS(rmt_mounted_folder("/dev/no-such", NULL, &folder, &error), RMT_E_NOT_FOUND);
}

// The files of the running kernel, not a table of the test's own.
static void
test_what_no_disk_holds_has_none(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto_str disk = NULL;
    rmt_auto_str folder = NULL;
    RMT_OK(rmt_mounted_disk("/proc", &disk, &error));
    assert_string_equal(disk, "");
    RMT_FAILS(rmt_mounted_disk("/nowhere", &folder, &error), RMT_E_NOT_FOUND);
    assert_false(rmt_mounted_is_written("/nowhere"));
    assert_false(rmt_mounted_is_written("/dev/null"));
}

// The folder that is wanted comes before others with the same device.
static void
test_a_device_is_found_at_the_folder_that_is_wanted(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    struct stat status;
    assert_int_equal(stat("/proc", &status), 0);
    rmt_auto_str node = rmt_text("%s/node", root_tree_path());
    assert_int_equal(mknod(node, S_IFBLK | 0600, status.st_dev), 0); // Needs root
    rmt_auto_str folder = NULL;
    rmt_auto_str none = NULL;
    RMT_OK(rmt_mounted_folder(node, "/proc", &folder, &error));
    assert_string_equal(folder, "/proc");
    RMT_FAILS(rmt_mounted_folder("/nowhere", "/proc", &none, &error), RMT_E_NOT_FOUND);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_disk_below_a_mount_is_found_and_layers_are_named),
        cmocka_unit_test(test_a_folder_that_is_no_mount_is_told),
        cmocka_unit_test(test_a_folder_with_blanks_is_found),
        cmocka_unit_test(test_what_is_mounted_for_a_while_has_no_place_in_the_system),
        cmocka_unit_test(test_a_device_that_is_not_mounted_has_no_folder),
        cmocka_unit_test(test_what_no_disk_holds_has_none),
        cmocka_unit_test(test_a_device_is_found_at_the_folder_that_is_wanted),
    };
    return cmocka_run_group_tests(tests, s_setup, root_tree_teardown);
}
