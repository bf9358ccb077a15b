// lib/disk: a device put together from ranges of files, as a block device with a file
// system on it. Needs root, FUSE and a loop device.
#include "tools/rmt_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"
#include "disk/rmt_fs.h"
#include "disk/rmt_blockdev.h"
#include "disk/rmt_fuse_disk.h"
#include "disk/rmt_mapping.h"

#define MIB ((uint64_t) 1024 * 1024)
#define MEMBERS 3
#define MEMBER_SIZE (24 * MIB)

typedef struct {
    char folder[64];
    char *mount;
    int fds[MEMBERS];
    rmt_mapping_t *mapping;
    rmt_fuse_blocks_t blocks;
    rmt_fuse_disk_t *disk;
} bench_t;

static int
s_set_up(void **state)
{
    bench_t *self = calloc(1, sizeof *self);
    assert_non_null(self);
    snprintf(self->folder, sizeof self->folder, "/var/tmp/fuse-disk-XXXXXX");
    assert_non_null(mkdtemp(self->folder));
    assert_int_equal(mount("test", self->folder, "tmpfs", 0, "mode=700"), 0);
    self->mount = rmt_text("%s/mount", self->folder);
    assert_int_equal(mkdir(self->mount, 0700), 0);
    for (size_t i = 0; i < MEMBERS; i++) {
        rmt_auto_str path = rmt_text("%s/member-%zu", self->folder, i);
        self->fds[i] = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
        assert_int_not_equal(self->fds[i], -1);
        assert_int_equal(ftruncate(self->fds[i], (off_t) MEMBER_SIZE), 0);
    }
    *state = self;
    return 0;
}

static int
s_tear_down(void **state)
{
    bench_t *self = *state;
    (void) umount2(self->mount, MNT_DETACH);
    rmt_fuse_disk_destroy(&self->disk);
    rmt_mapping_destroy(&self->mapping);
    for (size_t i = 0; i < MEMBERS; i++)
        close(self->fds[i]);
    (void) umount2(self->folder, MNT_DETACH);
    (void) rmdir(self->folder);
    free(self->mount);
    free(self);
    return 0;
}

static void
s_sh(const bench_t *self, const char *text)
{
    rmt_error_t error = {0};
    rmt_auto_str line = rmt_text("cd %s && %s", self->folder, text);
    const char *const argv[] = {"bash", "-ec", line, NULL};
    RMT_OK(rmt_process_run(argv, NULL, NULL, &error));
}

// RAID 10 with two near copies over three members; `lost` is missing.
static void
s_show(bench_t *self, size_t lost)
{
    rmt_error_t error = {0};
    rmt_mapping_member_t members[MEMBERS];
    for (size_t i = 0; i < MEMBERS; i++)
        members[i] = (rmt_mapping_member_t){i == lost ? -1 : self->fds[i], MIB};
    const rmt_mapping_segment_t segment = {.size = 30 * MIB,
                                           .chunk = MIB / 16,
                                           .near = 2,
                                           .far = 1,
                                           .members = members,
                                           .count = MEMBERS};
    self->mapping = rmt_mapping_new();
    rmt_mapping_add(self->mapping, &segment);
    self->blocks = rmt_mapping_blocks(self->mapping);
    const rmt_fuse_disk_setup_t setup = {.blocks = &self->blocks,
                                         .folder = self->folder,
                                         .name = "array",
                                         .sector = 512,
                                         .flags =
                                             lost < MEMBERS ? RMT_BLOCKDEV_READ_ONLY : 0};
    self->disk = rmt_fuse_disk_new(&setup, &error);
    RMT_OK(self->disk);
}

static void
s_hide(bench_t *self)
{
    rmt_fuse_disk_destroy(&self->disk);
    rmt_mapping_destroy(&self->mapping);
}

// What was written through one mapping is read through another that lacks a member, and
// so is on the members and in all copies.
static void
test_a_file_system_lies_on_a_mapping(void **state)
{
    bench_t *self = *state;
    rmt_error_t error = {0};
    s_show(self, MEMBERS);
    const char *device = rmt_fuse_disk_device(self->disk);
    rmt_auto_str make = rmt_text("mke2fs -q -F -t ext4 %s", device);
    s_sh(self, make);
    RMT_OK(rmt_fs_mount(RMT_FS_EXT4, NULL, device, self->mount, false, &error));
    s_sh(self, "head -c 9000001 /dev/urandom >mount/large; mkdir mount/a; "
               "for n in $(seq 200); do echo $n >mount/a/$n; done; "
               "(cd mount && find . -type f | sort | xargs sha256sum) >sums");
    RMT_OK(rmt_fs_unmount(self->mount, &error));
    RMT_OK(rmt_fuse_disk_flush(self->disk, &error));
    s_hide(self);
    for (size_t lost = 0; lost < MEMBERS; lost++) {
        s_show(self, lost);
        device = rmt_fuse_disk_device(self->disk);
        RMT_OK(rmt_fs_mount(RMT_FS_EXT4, NULL, device, self->mount, true, &error));
        s_sh(self, "cd mount && sha256sum --quiet -c ../sums");
        RMT_OK(rmt_fs_unmount(self->mount, &error));
        s_hide(self);
    }
}

// A member that ends too early fails the reader; it gets no other bytes.
static void
test_a_fault_of_a_member_reaches_the_reader(void **state)
{
    bench_t *self = *state;
    s_show(self, MEMBERS);
    assert_int_equal(ftruncate(self->fds[0], (off_t) (8 * MIB)), 0);
    rmt_auto_str read =
        rmt_text("! dd if=%s of=read bs=1M status=none 2>said && grep -q 'Input/output "
                 "error' said",
                 rmt_fuse_disk_device(self->disk));
    s_sh(self, read);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_set_up, s_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_file_system_lies_on_a_mapping),
        CASE(test_a_fault_of_a_member_reaches_the_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
