// Whose file system each line of an fstab means (M4, [3.13]): libmount reads the lines,
// and a name is of the imaged disk for sure or refused.
#include "tools/rmt_test.h"

#include "agent/disk_tools/device_name.h"
#include "agent/disk_tools/fstab.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

static rmt_layout_t *
s_layout(void)
{
    rmt_layout_t *layout = rmt_layout_new();
    (void) rmt_layout_add_disk(layout, "system");
    return layout;
}

// A volume, and its partition unless it is there or has no number.
static rmt_layout_volume_t *
s_add_volume(rmt_layout_t *layout, uint64_t number, const char *uuid)
{
    if (number && !rmt_layout_find_partition(layout, 0, number))
        rmt_layout_add_partition(layout, 0)->number = number;
    rmt_layout_volume_t *volume = rmt_layout_add_volume(layout, 0);
    volume->partition = number;
    volume->fs = RMT_FS_EXT4;
    rmt_record_set(volume->format, "uuid", uuid);
    return volume;
}

// An fstab that lies on partition 2 of another machine's disk.
static rmt_fstab_t *
s_read(const char *text)
{
    rmt_error_t error = {0};
    const rmt_fstab_place_t place = {.root = 2};
    rmt_fstab_t *fstab = rmt_fstab_new(text, &place, &error);
    RMT_OK(fstab);
    return fstab;
}

static char *
s_mount(const char *text, const rmt_layout_t *layout, const rmt_layout_volume_t *volume)
{
    rmt_auto(rmt_fstab) fstab = s_read(text);
    return rmt_fstab_mount(fstab, layout, volume);
}

static void
test_fstab_names_the_mount_point_of_a_volume(void **state)
{
    (void) state;
    static const char text[] = "# comment\n"
                               "UUID=1234-ABCD /boot/efi vfat umask=0077 0 1\n"
                               "LABEL=data\t/srv ext4 defaults 0 2\n"
                               "/dev/disk/by-label/more\\x20data /more xfs ro 0 2\n"
                               "/dev/sda2 / ext4 errors=remount-ro 0 1\n"
                               "/dev/sda5 none swap sw 0 0\n"
                               "PARTLABEL=\"home\\040of\\040all\" /home ext4\n"
                               "PARTUUID=0000ABCD-0a /opt ext4 defaults 0 2 # late\r\n";
    static const struct {
        const char *uuid, *label, *part_label, *guid;
        uint64_t number;
        const char *mount;
    } rows[] = {{"1234-abcd", "", "", "", 1, "/boot/efi"},
                {"x", "data", "", "", 3, "/srv"},
                {"x", "Data", "", "", 3, "-"},
                {"x", "data ", "", "", 3, "-"},
                {"x", "more data", "", "", 4, "/more"},
                {"x", "", "home of all", "", 4, "/home"},
                {"x", "", "Home of all", "", 4, "-"},
                {"x", "", "", "0000abcd-0a", 10, "/opt"},
                {"y", "", "", "", 2, "/"},
                {"z", "", "", "", 5, "-"},
                {"", "", "", "", 12, "-"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto(rmt_layout) layout = s_layout();
        rmt_layout_volume_t *volume = s_add_volume(layout, rows[i].number, rows[i].uuid);
        rmt_record_set(volume->format, "label", rows[i].label);
        layout->partitions[0].name = rmt_text("%s", rows[i].part_label);
        strcpy(layout->partitions[0].guid, rows[i].guid);
        rmt_auto_str mount = s_mount(text, layout, volume);
        assert_string_equal(mount ? mount : "-", rows[i].mount);
    }
}

// The names that installers write for a logical volume: RHEL's of device-mapper, Debian's
// too, those of SUSE below the group, and the link with the uuids that Ubuntu Server has.
static void
test_fstab_names_logical_volumes(void **state)
{
    (void) state;
    static const struct {
        const char *spec, *mount;
    } rows[] = {
        {"/dev/mapper/vg--a-lv--root_1", "/"},
        {"/dev/vg-a/lv-root_1", "/"},
        {"/dev/disk/by-id/dm-name-vg--a-lv--root_1", "/"},
        {"/dev/disk/by-id/"
         "dm-uuid-LVM-V0000000000000000000000000000000r0000000000000000000000000000000",
         "/"},
        {"ID=dm-name-vg--a-lv--root_1", "/"},
        {"UUID=aa-bb", "/"},
        {"/dev/mapper/vg-a-lv-root_1", "-"},
        {"/dev/mapper/vg--a-lv--root", "-"},
        {"/dev/vg-a/lv--root_1", "-"},
        {"/dev/sda1", "-"},
        {"/dev/mapper/other-root", "-"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto(rmt_layout) layout = s_layout();
        strcpy(rmt_layout_add_group(layout, "vg-a")->uuid,
               "V00000-0000-0000-0000-0000-0000-000000");
        rmt_layout_logical_t *logical = rmt_layout_add_logical(layout, 0);
        strcpy(logical->name, "lv-root_1");
        strcpy(logical->uuid, "r00000-0000-0000-0000-0000-0000-000000");
        rmt_layout_volume_t *volume = rmt_layout_add_volume(layout, 0);
        volume->logical = rmt_text("vg-a/lv-root_1");
        rmt_record_set(volume->format, "uuid", "aa-bb");
        rmt_auto_str text = rmt_text("%s / ext4 defaults 0 1\n", rows[i].spec);
        rmt_auto_str mount = s_mount(text, layout, volume);
        if (strcmp(mount ? mount : "-", rows[i].mount) != 0)
            fail_msg("%s: %s", rows[i].spec, mount ? mount : "-");
    }
}

static void
test_fstab_tells_subvolumes_apart_and_names_them_by_path(void **state)
{
    (void) state;
    // The first line has the word where another one has its device.
    static const char text[] = "subvolid=257 /bad btrfs defaults 0 0\n"
                               "UUID=ab / btrfs defaults 0 1\n"
                               "UUID=ab /home btrfs rw,subvolid=257,noatime 0 2\n"
                               "  UUID=ab /srv btrfs subvolid=258,subvol=/@srv 0 2\n"
                               "UUID=ab /var btrfs subvol=@var 0 2\n"
                               "UUID=ab /opt btrfs ro,subvol=@opt,subvolid=260 0 2\n"
                               "UUID=cd /mnt btrfs subvolid=257 0 2\n"
                               "# UUID=ab /old btrfs subvolid=257 0 2\n"
                               "UUID=ab /top btrfs subvolid=5 0 2";
    static const char changed[] = "subvolid=257 /bad btrfs defaults 0 0\n"
                                  "UUID=ab / btrfs defaults 0 1\n"
                                  "UUID=ab /home btrfs rw,subvol=/@home,noatime 0 2\n"
                                  "  UUID=ab /srv btrfs subvol=/@srv 0 2\n"
                                  "UUID=ab /var btrfs subvol=@var 0 2\n"
                                  "UUID=ab /opt btrfs ro,subvol=@opt 0 2\n"
                                  "UUID=cd /mnt btrfs subvolid=257 0 2\n"
                                  "# UUID=ab /old btrfs subvolid=257 0 2\n"
                                  "UUID=ab /top btrfs subvol=/ 0 2";
    static const struct {
        const char *path;
        uint64_t id;
        const char *mount;
    } rows[] = {{"", 5, "/top"},       {"@", 256, "/"},       {"@home", 257, "/home"},
                {"@srv", 258, "/srv"}, {"@var", 259, "/var"}, {"@opt", 260, "/opt"},
                {"@none", 261, "-"}};
    rmt_auto(rmt_layout) layout = s_layout();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_layout_volume_t *volume = s_add_volume(layout, 0, "ab");
        volume->subvolume = rmt_text("%s", rows[i].path);
        volume->subvolume_id = rows[i].id;
        volume->is_default = strcmp(rows[i].path, "@") == 0;
        rmt_auto_str mount = s_mount(text, layout, volume);
        assert_string_equal(mount ? mount : "-", rows[i].mount);
    }
    rmt_auto_str by_path = rmt_fstab_by_path(text, layout);
    assert_non_null(by_path);
    assert_string_equal(by_path, changed);
    rmt_auto_str again = rmt_fstab_by_path(changed, layout);
    assert_null(again);
}

static void
test_fstab_has_blanks_in_names_as_octal_digits(void **state)
{
    (void) state;
    static const char text[] =
        "UUID=ab /home btrfs subvolid=257,ro 0 0\n"
        "UUID=ab /mnt/my\\040pictures btrfs subvol=/@my\\040pictures 0 0\n"
        "LABEL=a\\134b\\011c /srv\\999 ext4 defaults 0 0\n"
        "LABEL=\\342\\202\\254\\043 /srv/\\303\\244 ext4 defaults 0 0\n";
    static const char changed[] =
        "UUID=ab /home btrfs subvol=/@my\\040home\\134,ro 0 0\n"
        "UUID=ab /mnt/my\\040pictures btrfs subvol=/@my\\040pictures 0 0\n"
        "LABEL=a\\134b\\011c /srv\\999 ext4 defaults 0 0\n"
        "LABEL=\\342\\202\\254\\043 /srv/\\303\\244 ext4 defaults 0 0\n";
    rmt_error_t error = {0};
    rmt_auto(rmt_layout) layout = s_layout();
    rmt_layout_volume_t *home = s_add_volume(layout, 0, "ab");
    home->subvolume = rmt_text("@my home\\");
    home->subvolume_id = 257;
    rmt_layout_volume_t *pictures = s_add_volume(layout, 0, "ab");
    pictures->subvolume = rmt_text("@my pictures");
    rmt_auto_str point = s_mount(text, layout, pictures);
    assert_string_equal(point, "/mnt/my pictures");
    rmt_layout_volume_t *data = s_add_volume(layout, 0, "cd");
    rmt_record_set(data->format, "label", "a\\b\tc");
    rmt_auto_str other = s_mount(text, layout, data);
    assert_string_equal(other, "/srv\\999");
    rmt_layout_volume_t *euro = s_add_volume(layout, 0, "ef");
    rmt_record_set(euro->format, "label", "\xe2\x82\xac#");
    rmt_auto_str third = s_mount(text, layout, euro);
    assert_string_equal(third, "/srv/\xc3\xa4");
    rmt_auto(rmt_fstab) fstab = s_read(text);
    RMT_OK(rmt_fstab_check(fstab, layout, &error));
    rmt_auto_str by_path = rmt_fstab_by_path(text, layout);
    assert_string_equal(by_path, changed);
}

// What programs read in different ways is refused with its number, and what no program
// mounts is left alone.
static void
test_lines_that_nobody_reads_alike_are_refused(void **state)
{
    (void) state;
    static const struct {
        const char *text, *words; // NULL: read
    } rows[] = {
        {"UUID=ab / ext4", NULL},
        {"\n  # UUID=ab /\n\t\nUUID=ab / ext4 defaults 0 1 # root\n", NULL},
        {"UUID=ab / ext4 defaults\r\n", NULL},
        {"UUID=ab / ext4 defaults later 1\n", NULL},
        {"lonely\n", NULL},
        {"UUID=ab / ext4\nUUID=ab /srv\n",
         "line 2 of /etc/fstab, 'UUID=ab /srv', has no type"},
        {"LABEL=\"my data\" /srv ext4\n", "written \\040"},
        {"\nPARTLABEL='a b' /srv ext4\n", "line 2 of /etc/fstab"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        const rmt_fstab_place_t place = {.root = 2};
        rmt_auto(rmt_fstab) fstab = rmt_fstab_new(rows[i].text, &place, &error);
        if (!rows[i].words) {
            RMT_OK(fstab);
            continue;
        }
        RMT_FAILS(fstab, RMT_E_CONFIG);
        if (!strstr(error.text, rows[i].words))
            fail_msg("%s: %s", rows[i].text, error.text);
    }
}

// A name is taken apart as kernels and udev put it together.
static void
test_names_of_devices_tell_disk_and_partition(void **state)
{
    (void) state;
    static const struct {
        const char *path, *disk;
        uint64_t partition;
    } rows[] = {
        {"/dev/sda2", "/dev/sda", 2},
        {"/dev/sdaa12", "/dev/sdaa", 12},
        {"/dev/vda", "/dev/vda", 0},
        {"/dev/nvme0n1p3", "/dev/nvme0n1", 3},
        {"/dev/nvme1n1", "/dev/nvme1n1", 0},
        {"/dev/nvme10n2p15", "/dev/nvme10n2", 15},
        {"/dev/mmcblk0p1", "/dev/mmcblk0", 1},
        {"/dev/mmcblk1", "/dev/mmcblk1", 0},
        {"/dev/cciss/c0d1p2", "/dev/cciss/c0d1", 2},
        {"/dev/disk/by-id/ata-A-part1", "/dev/disk/by-id/ata-A", 1},
        {"/dev/disk/by-id/ata-A-part1-x-part7", "/dev/disk/by-id/ata-A-part1-x", 7},
        {"/dev/disk/by-path/pci-0:1-ata-1", "/dev/disk/by-path/pci-0:1-ata-1", 0},
        {"/dev/md1", NULL, 0},
        {"/dev/md/home", NULL, 0},
        {"/dev/mapper/vg-root", NULL, 0},
        {"/dev/vg/root", NULL, 0},
        {"/dev/dm-1", NULL, 0},
        {"/dev/mmcblk0boot1", NULL, 0},
        {"/dev/nvme0n11p", NULL, 0},
        {"/dev/sda02", NULL, 0},
        {"/dev/sda2x", NULL, 0},
        {"/dev/sd2", NULL, 0},
        {"/dev/sda99999", NULL, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto_str disk = NULL;
        uint64_t partition = 0;
        const bool is_read = rmt_device_name_split(rows[i].path, &disk, &partition);
        if (is_read != (rows[i].disk != NULL))
            fail_msg("%s: %s", rows[i].path, disk ? disk : "-");
        assert_true(!is_read || partition == rows[i].partition);
        assert_true(!is_read || strcmp(disk, rows[i].disk) == 0);
    }
}

// The table lies on partition 2, an ext4 of UUID ab and label root; 1 is an ESP, 3 an xfs
// without a line, 5 is swap, with the label sw.
static rmt_layout_t *
s_machine(void)
{
    rmt_layout_t *layout = s_layout();
    rmt_layout_volume_t *root = s_add_volume(layout, 2, "ab");
    rmt_record_set(root->format, "label", "root");
    s_add_volume(layout, 1, "11")->fs = RMT_FS_VFAT;
    s_add_volume(layout, 3, "33")->fs = RMT_FS_XFS;
    rmt_layout_volume_t *swap = s_add_volume(layout, 5, "55");
    swap->fs = RMT_FS_SWAP;
    rmt_record_set(swap->format, "label", "sw");
    return layout;
}

#define ROOT_BY_UUID "UUID=ab / ext4 defaults 0 1\n"

static void
test_fstab_with_file_systems_of_other_disks_is_refused(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        bool fits;
    } rows[] = {
        {ROOT_BY_UUID, true},
        {"/dev/disk/by-uuid/ab / ext4 defaults 0 1", true},
        {"UUID=cd /srv ext4 defaults 0 1", false},
        {"ID=ata-B-part1 /srv ext4 defaults 0 1", false},
        {"/dev/mapper/vg-srv /srv ext4 defaults 0 1", false},
        {"UUID=cd /srv ext4 defaults,nofail 0 1", true},
        {"UUID=cd /srv ext4 noauto 0 1", true},
        {"UUID=cd /srv ext4 x-nofail 0 1", false},
        {"UUID=cd none swap sw 0 0", false},
        {"UUID=cd none swap sw,nofail 0 0", true},
        {"LABEL=sw none swap sw 0 0", true},
        {"LABEL=SW none swap sw 0 0", false},
        {"/dev/zram0 none swap sw 0 0", true},
        {"/swapfile none swap sw 0 0", true},
        {"/dev/sr0 /media/cdrom0 udf,iso9660 user 0 0", true},
        {"server:/export /srv nfs defaults 0 0", true},
        {"tmpfs /tmp tmpfs defaults 0 0", true},
        {"/srv/a /srv/b none bind 0 0", true},
        {"# UUID=cd /srv ext4 defaults 0 1", true},
        {"", true},
        // The line of / tells the disk.
        {"/dev/sdb2 / ext4 rw\n/dev/sdb3 /srv xfs rw\n", true},
        {"/dev/sdb3 /srv xfs rw\n/dev/sdb2 / ext4 rw\n", true},
        {"/dev/sdb2 / ext4 rw\n/dev/sda3 /srv xfs rw\n", false},
        {"/dev/sda3 /srv xfs rw\n/dev/sdb2 / ext4 rw\n", false},
        {"/dev/sda2 / ext4 rw\n/dev/sdaa3 /srv xfs rw\n", false},
        {"/dev/nvme0n1p2 / ext4 rw\n/dev/nvme1n1 /srv xfs rw\n", false},
        {"/dev/nvme0n1p2 / ext4 rw\n/dev/nvme1n1p3 /srv xfs rw\n", false},
        {"/dev/nvme0n1p2 / ext4 rw\n/dev/nvme0n1p3 /srv xfs rw\n", true},
        {"/dev/sda2 / ext4 rw\n/dev/md3 /srv xfs rw\n", false},
        {"/dev/sda2 / ext4 rw\n/dev/md/data3 /srv xfs rw\n", false},
        {"/dev/sda2 / ext4 rw\n/dev/sda9 /srv xfs rw\n", false},
        {"/dev/disk/by-id/ata-A-part2 / ext4 rw\n"
         "/dev/disk/by-id/ata-A-part3 /srv xfs rw\n",
         true},
        {"/dev/disk/by-id/ata-A-part2 / ext4 rw\n"
         "/dev/disk/by-id/ata-B-part3 /srv xfs rw\n",
         false},
        {"/dev/root / ext4 rw\n", true},
        {"/dev/sdc3 / ext4 rw\n", false}, // The table lies on partition 2
        // Without such a line the usual name counts, unless something speaks against it.
        {ROOT_BY_UUID "/dev/sda3 /srv xfs rw\n", true},
        {ROOT_BY_UUID "/dev/vda5 none swap sw\n", true},
        {ROOT_BY_UUID "/dev/nvme0n1p1 /boot/efi vfat rw\n", true},
        {ROOT_BY_UUID "/dev/sdb3 /srv xfs rw\n", false},
        {ROOT_BY_UUID "/dev/sdb5 none swap sw\n", false},
        {ROOT_BY_UUID "/dev/nvme0n2p3 /srv xfs rw\n", false},
        {ROOT_BY_UUID "/dev/sda3 /srv xfs rw\n/dev/vda1 /boot/efi vfat rw\n", false},
        {ROOT_BY_UUID "/dev/sda3 /srv ext4 rw\n", false},
        {ROOT_BY_UUID "/dev/sda1 /srv xfs rw\n", false},
        {ROOT_BY_UUID "/dev/sda2 /srv ext4 rw\n", false},
        {ROOT_BY_UUID "UUID=33 /srv xfs rw\n/dev/sda3 /data xfs rw\n", false},
        {ROOT_BY_UUID "/dev/disk/by-id/ata-A-part3 /srv xfs rw\n", false},
        {ROOT_BY_UUID "/dev/disk/by-path/pci-0-part3 /srv xfs rw\n", false},
        {ROOT_BY_UUID "/dev/md3 /srv xfs rw\n", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_layout) layout = s_machine();
        rmt_auto(rmt_fstab) fstab = s_read(rows[i].text);
        const int rc = rmt_fstab_check(fstab, layout, &error);
        if ((rc == 0) != rows[i].fits)
            fail_msg("%s: %s", rows[i].text, error.text);
        assert_true(rc == 0 || (strstr(error.text, "of /etc/fstab ") &&
                                strstr(error.text, "nofail")));
    }
}

// The machine's own names are asked of the machine: nothing here is a partition of a
// disk.
static void
test_names_of_this_machine_are_asked_of_it(void **state)
{
    (void) state;
    uint64_t partition = 0;
    rmt_error_t error = {0};
    assert_false(rmt_device_name_find("/dev/null", "/dev/zero", &partition));
    assert_false(rmt_device_name_find("/dev/no-such2", "/dev/no-such", &partition));
    const rmt_fstab_place_t place = {.disks = (const char *const[]){"/dev/no-such"},
                                     .disk_count = 1};
    rmt_auto(rmt_layout) layout = s_machine();
    rmt_auto(rmt_fstab) fstab =
        rmt_fstab_new("/dev/no-such2 / ext4 rw\n", &place, &error);
    RMT_OK(fstab);
    RMT_FAILS(rmt_fstab_check(fstab, layout, &error), RMT_E_UNSUPPORTED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fstab_names_the_mount_point_of_a_volume),
        cmocka_unit_test(test_fstab_names_logical_volumes),
        cmocka_unit_test(test_fstab_tells_subvolumes_apart_and_names_them_by_path),
        cmocka_unit_test(test_fstab_has_blanks_in_names_as_octal_digits),
        cmocka_unit_test(test_lines_that_nobody_reads_alike_are_refused),
        cmocka_unit_test(test_names_of_devices_tell_disk_and_partition),
        cmocka_unit_test(test_fstab_with_file_systems_of_other_disks_is_refused),
        cmocka_unit_test(test_names_of_this_machine_are_asked_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
