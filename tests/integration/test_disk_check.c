// The program that writes looks itself whether a device is the disk that was meant (P7):
// each row is one way in which it is not.
#include "tools/rmt_test.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/diskw/disk_check.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_blockdev.h"
#include "machine/rmt_inventory.h"
#include "match/rmt_match.h"
#include "tools/machine_tree.h"

#define BYTES ((uint64_t) 16 * 1024 * 1024)

static char s_root[] = "/tmp/ramet-check-XXXXXX";

static int
s_setup(void **state)
{
    (void) state;
    return mkdtemp(s_root) ? 0 : -1;
}

static int
s_teardown(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    return rmt_io_remove_tree(s_root, &error);
}

static rmt_record_t *
s_target(uint64_t bytes)
{
    rmt_record_t *target = rmt_record_new();
    rmt_record_set(target, "path", "/dev/of-the-order");
    rmt_record_set_u64(target, "bytes", bytes);
    return target;
}

// ---- A file behind a loop device

static void
test_only_the_file_that_was_prepared_is_taken(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("%s/disk", s_root);
    rmt_auto_fd file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(file, (off_t) BYTES), 0);
    struct stat status;
    assert_int_equal(fstat(file, &status), 0);
    rmt_auto(rmt_blockdev) device = rmt_blockdev_new(path, 0, 512, "/dev", &error);
    RMT_OK(device);
    const struct {
        uint64_t device, inode, bytes;
        rmt_code_t code;
        const char *text;
    } rows[] = {
        {status.st_dev, status.st_ino, BYTES, RMT_E_OK, ""},
        {status.st_dev, status.st_ino, BYTES + 511, RMT_E_OK, ""},
        {status.st_dev, status.st_ino + 1, BYTES, RMT_E_INCOMPATIBLE, "another file"},
        {status.st_dev + 1, status.st_ino, BYTES, RMT_E_INCOMPATIBLE, "another file"},
        {status.st_dev, status.st_ino, BYTES + 512, RMT_E_INCOMPATIBLE, "has 16777216"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto(rmt_record) target = s_target(rows[i].bytes);
        rmt_record_set_u64(target, "device", rows[i].device);
        rmt_record_set_u64(target, "inode", rows[i].inode);
        error = (rmt_error_t){0};
        (void) rmt_disk_check(target, rmt_blockdev_fd(device), rmt_blockdev_bytes(device),
                              "", &error);
        assert_int_equal(error.code, rows[i].code);
        assert_non_null(strstr(error.text, rows[i].text));
    }
    rmt_auto(rmt_record) target = s_target(BYTES);
    rmt_record_set_u64(target, "inode", 1);
    rmt_auto_fd other = open("/dev/null", O_RDONLY | O_CLOEXEC);
    RMT_FAILS(rmt_disk_check(target, other, BYTES, "", &error), RMT_E_IO);
    assert_non_null(strstr(error.text, "status of the loop device"));
}

// ---- A disk of the machine

// The machine's two disks; /dev/null plays the device, and the machine says that it is
// sda.
static void
s_make_machine(const char *serial)
{
    rmt_error_t error = {0};
    rmt_auto_str text = rmt_text(
        "class=system arch=x86_64 kernel=6.1.0 firmware=bios\n"
        "class=cpu vendor=AuthenticAMD family=23 model=1 stepping=0 name=CPU count=1\n"
        "class=memory mib=512\n"
        "class=disk name=sda via=ata on=0000:00:1f.2 at=0:0:0:0 ata=1 bytes=16777216 "
        "sector=512 model=Disk serial=%s\n"
        "class=disk name=sdb via=ata on=0000:00:1f.2 at=1:0:0:0 ata=2 bytes=16777216 "
        "sector=512 model=Disk serial=OTHER\n",
        serial);
    RMT_OK(rmt_io_remove_tree(s_root, &error));
    RMT_OK(rmt_io_mkdirs(s_root, 0755, &error));
    RMT_OK(machine_tree_make(s_root, text, &error));
    rmt_auto_str folder = rmt_text("%s/sys/dev/block", s_root);
    rmt_auto_str link = rmt_text("%s/1:3", folder);
    RMT_OK(rmt_io_mkdirs(folder, 0755, &error));
    assert_int_equal(symlink("../../block/sda", link), 0);
}

static char *
s_identity(const char *name)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) hardware = rmt_inventory_read_at(s_root, &error);
    RMT_OK(hardware);
    const rmt_record_t *disk = rmt_records_find(hardware, "name", name);
    assert_non_null(disk);
    return rmt_text("%s", rmt_match_disk_identity(disk));
}

static rmt_code_t
s_check(const char *identity, int fd, rmt_error_t *error)
{
    rmt_auto(rmt_record) target = s_target(BYTES);
    rmt_record_set(target, "identity", identity);
    *error = (rmt_error_t){0};
    (void) rmt_disk_check(target, fd, BYTES, s_root, error);
    return error->code;
}

static void
test_only_the_disk_whose_identity_was_ordered_is_taken(void **state)
{
    (void) state;
    rmt_error_t error;
    rmt_auto_fd fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    s_make_machine("MEANT");
    rmt_auto_str meant = s_identity("sda");
    rmt_auto_str other = s_identity("sdb");
    assert_int_equal(s_check(meant, fd, &error), RMT_E_OK);
    // Another disk of this machine, which is not behind this device.
    assert_int_equal(s_check(other, fd, &error), RMT_E_INCOMPATIBLE);
    assert_non_null(strstr(error.text, "/dev/of-the-order is no longer disk '"));
    // Another disk got the name.
    s_make_machine("SWAPPED");
    assert_int_equal(s_check(meant, fd, &error), RMT_E_INCOMPATIBLE);
    assert_int_equal(s_check("", fd, &error), RMT_E_INCOMPATIBLE);
}

static void
test_a_machine_that_does_not_tell_its_disks_is_not_written(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto_fd fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    s_make_machine("MEANT");
    rmt_auto_str meant = s_identity("sda");
    assert_int_equal(s_check(meant, -1, &error), RMT_E_IO);
    rmt_auto_str memory = rmt_text("%s/proc/meminfo", s_root);
    assert_int_equal(unlink(memory), 0);
    assert_int_equal(s_check(meant, fd, &error), RMT_E_NOT_FOUND);
    rmt_auto_str link = rmt_text("%s/sys/dev/block/1:3", s_root);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(s_check(meant, fd, &error), RMT_E_NOT_FOUND);
    assert_non_null(strstr(error.text, "/sys/dev/block/1:3"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_the_file_that_was_prepared_is_taken),
        cmocka_unit_test(test_only_the_disk_whose_identity_was_ordered_is_taken),
        cmocka_unit_test(test_a_machine_that_does_not_tell_its_disks_is_not_written),
    };
    return cmocka_run_group_tests(tests, s_setup, s_teardown);
}
