// lib/disk: what tells that a file system was not cleanly unmounted, and the layer on
// which that is made good (M2). Needs root.
#include "tools/rmt_test.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_bytes.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"
#include "disk/rmt_cow.h"
#include "disk/rmt_fs.h"
#include "disk/rmt_overlay.h"
#include "disk/rmt_unclean.h"

#define MIB ((uint64_t) 1024 * 1024)
#define EXT_SUPER 1024

typedef struct {
    char folder[64];
    char *disk, *copy, *mount;
} bench_t;

static int
s_set_up(void **state)
{
    bench_t *self = calloc(1, sizeof *self);
    assert_non_null(self);
    snprintf(self->folder, sizeof self->folder, "/var/tmp/unclean-XXXXXX");
    assert_non_null(mkdtemp(self->folder));
    // Mounted and formatted often; no power is cut.
    assert_int_equal(mount("test", self->folder, "tmpfs", 0, "mode=700"), 0);
    self->disk = rmt_text("%s/disk", self->folder);
    self->copy = rmt_text("%s/copy", self->folder);
    self->mount = rmt_text("%s/mount", self->folder);
    assert_int_equal(mkdir(self->mount, 0700), 0);
    *state = self;
    return 0;
}

static int
s_tear_down(void **state)
{
    bench_t *self = *state;
    (void) umount2(self->mount, MNT_DETACH);
    (void) umount2(self->folder, MNT_DETACH);
    (void) rmdir(self->folder);
    free(self->disk);
    free(self->copy);
    free(self->mount);
    free(self);
    return 0;
}

static void
s_sh(bench_t *self, const char *command)
{
    rmt_error_t error = {0};
    rmt_auto_str text = rmt_text("set -e; cd %s; %s", self->folder, command);
    const char *const words[] = {"bash", "-c", text, NULL};
    RMT_OK(rmt_process_run(words, NULL, NULL, &error));
}

static void
s_make(bench_t *self, const char *make)
{
    rmt_auto_str text = rmt_text("rm -f disk; truncate -s 320M disk; %s disk", make);
    s_sh(self, text);
}

static rmt_unclean_t
s_look(const char *path, const char *fs)
{
    rmt_error_t error = {0};
    rmt_unclean_t unclean;
    const char *why;
    RMT_OK(rmt_unclean_look(fs, path, &unclean, &why, &error));
    return unclean;
}

static const struct {
    const char *fs, *make;
} s_makes[] = {
    {"ext4", "mke2fs -q -F -t ext4"},
    {"ext4", "mke2fs -q -F -t ext4 -O fast_commit,orphan_file -b 1024"},
    {"ext3", "mke2fs -q -F -t ext3"},
    {"xfs", "mkfs.xfs -q -f"},
    {"xfs", "mkfs.xfs -q -f -l su=256k"},
    {"xfs", "mkfs.xfs -q -f -s size=4096"},
    {"xfs", "mkfs.xfs -q -f -b size=1024 -l size=64m,sunit=16"},
    {"btrfs", "mkfs.btrfs -q -f"},
};
#define MAKE_COUNT (sizeof s_makes / sizeof *s_makes)

static void
test_what_was_unmounted_is_clean_and_what_crashed_is_not(void **state)
{
    bench_t *self = *state;
    for (size_t i = 0; i < MAKE_COUNT; i++) {
        print_message("%s\n", s_makes[i].make);
        s_make(self, s_makes[i].make);
        assert_int_equal(s_look(self->disk, s_makes[i].fs), RMT_UNCLEAN_NOT);
        s_sh(self, "for n in 1 2 3; do mount -o loop disk mount; mkdir mount/$n; "
                   "sync -f mount; umount mount; done");
        assert_int_equal(s_look(self->disk, s_makes[i].fs), RMT_UNCLEAN_NOT);
        s_sh(self, "mount -o loop disk mount; sync -f mount; date >mount/new; "
                   "sync mount/new; cp --sparse=always disk copy; umount mount");
        assert_int_equal(s_look(self->disk, s_makes[i].fs), RMT_UNCLEAN_NOT);
        assert_int_equal(s_look(self->copy, s_makes[i].fs), RMT_UNCLEAN_LOG);
    }
}

// Each round takes 1.7 MiB of a log of 4 MiB, so it ends at another block each time.
static void
test_a_log_that_has_gone_around_is_told_apart_too(void **state)
{
    bench_t *self = *state;
    s_make(self, "mkfs.xfs --unsupported -q -f -b size=1024 -l size=4m");
    for (int round = 0; round < 6; round++) {
        s_sh(self, "mount -o loop disk mount; mkdir mount/d; touch mount/d/{1..3000}; "
                   "sync -f mount; rm -r mount/d; sync -f mount; mkdir mount/e; "
                   "sync mount; cp --sparse=always disk copy; rmdir mount/e; "
                   "umount mount");
        assert_int_equal(s_look(self->copy, "xfs"), RMT_UNCLEAN_LOG);
        assert_int_equal(s_look(self->disk, "xfs"), RMT_UNCLEAN_NOT);
    }
}

#define RING 128 // Blocks of a log that is made by hand

static void
s_put_be(uint8_t *out, uint32_t number)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t) (number >> (24 - 8 * i));
}

// A log whose last round ended before block head, with a record of one operation.
static void
s_make_ring(bench_t *self, uint64_t head, uint8_t flags)
{
    rmt_error_t error = {0};
    static uint8_t disk[4096 + RING * 512];
    memset(disk, 0, sizeof disk);
    s_put_be(disk + 4, 4096);      // Bytes of a block
    s_put_be(disk + 52, 1);        // The log begins at block 1
    s_put_be(disk + 84, 1 << 20);  // Blocks of a group
    s_put_be(disk + 96, RING / 8); // Blocks of the log
    disk[124] = 20;
    uint8_t *ring = disk + 4096, *header = ring + (head - 2) * 512;
    for (uint64_t i = 0; i < RING; i++)
        s_put_be(ring + i * 512, i < head ? 7 : 6);
    s_put_be(header, 0xfeedbabe);
    s_put_be(header + 4, 7);
    s_put_be(header + 8, 2);
    s_put_be(header + 12, 512);
    s_put_be(header + 40, 1);
    header[512 + 9] = flags;
    RMT_OK(rmt_io_save(self->disk, disk, sizeof disk, 0600, &error));
}

static void
test_a_log_ends_anywhere_in_its_ring(void **state)
{
    bench_t *self = *state;
    for (uint64_t head = 2; head <= RING; head++) {
        s_make_ring(self, head, 0x20);
        assert_int_equal(s_look(self->disk, "xfs"), RMT_UNCLEAN_NOT);
        s_make_ring(self, head, 0);
        assert_int_equal(s_look(self->disk, "xfs"), RMT_UNCLEAN_LOG);
    }
}

static void
s_poke(bench_t *self, uint64_t at, const void *data, size_t size)
{
    rmt_error_t error = {0};
    rmt_auto_fd fd = open(self->disk, O_WRONLY | O_CLOEXEC);
    RMT_OK(rmt_io_pwrite(fd, data, size, (off_t) at, &error));
}

static void
test_flags_that_ask_for_a_check_are_seen(void **state)
{
    bench_t *self = *state;
    const struct {
        const char *fs, *make;
        uint64_t at;
        uint8_t data[4];
        size_t size;
        rmt_unclean_t unclean;
    } cases[] = {
        {"ext4", "mke2fs -q -F -t ext4", EXT_SUPER + 0x3a, {3}, 1, RMT_UNCLEAN_CHECK},
        {"ext2", "mke2fs -q -F -t ext2", EXT_SUPER + 0x3a, {0}, 1, RMT_UNCLEAN_CHECK},
        {"ext4", "mke2fs -q -F -t ext4", EXT_SUPER + 0xe8, {12}, 1, RMT_UNCLEAN_LOG},
        {"vfat", "mkfs.vfat -F 32", 0x41, {1}, 1, RMT_UNCLEAN_CHECK},
        {"vfat", "mkfs.vfat -F 32", 0x41, {2}, 1, RMT_UNCLEAN_NOT},
        {"vfat",
         "mkfs.vfat -F 32 -R 32",
         16388,
         {0xff, 0xff, 0xff, 0x0b},
         4,
         RMT_UNCLEAN_NOT},
        {"vfat", "mkfs.vfat -F 16 -s 64", 0x25, {1}, 1, RMT_UNCLEAN_CHECK},
        {"vfat",
         "mkfs.vfat -F 16 -s 64 -R 1 -a",
         514,
         {0xff, 0x7f},
         2,
         RMT_UNCLEAN_CHECK},
        {"vfat",
         "mkfs.vfat -F 32 -R 32",
         16388,
         {0xff, 0xff, 0xff, 0x07},
         4,
         RMT_UNCLEAN_CHECK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        print_message("%zu: %s\n", i, cases[i].make);
        s_make(self, cases[i].make);
        assert_int_equal(s_look(self->disk, cases[i].fs), RMT_UNCLEAN_NOT);
        s_poke(self, cases[i].at, cases[i].data, cases[i].size);
        assert_int_equal(s_look(self->disk, cases[i].fs), cases[i].unclean);
    }
    // The smallest tables have no such bits in their entries.
    s_sh(self, "rm disk; truncate -s 2M disk; mkfs.vfat -F 12 disk");
    assert_int_equal(s_look(self->disk, "vfat"), RMT_UNCLEAN_NOT);
}

static void
test_a_log_on_another_device_is_refused(void **state)
{
    rmt_error_t error = {0};
    bench_t *self = *state;
    rmt_unclean_t unclean;
    const char *why;
    s_sh(self,
         "truncate -s 320M disk; truncate -s 64M log; mke2fs -q -F -O journal_dev log;"
         "l=$(losetup -f --show log); mke2fs -q -F -J device=$l disk; losetup -d $l");
    RMT_FAILS(rmt_unclean_look("ext4", self->disk, &unclean, &why, &error),
              RMT_E_UNSUPPORTED);
    assert_non_null(strstr(error.text, "journal is on another device"));
    s_make(self, "mkfs.xfs -q -f -l logdev=log,size=64m");
    RMT_FAILS(rmt_unclean_look("xfs", self->disk, &unclean, &why, &error),
              RMT_E_UNSUPPORTED);
    assert_non_null(strstr(error.text, "log is on another device"));
}

static void
test_a_device_in_use_is_left_to_its_kernel(void **state)
{
    rmt_error_t error = {0};
    bench_t *self = *state;
    s_make(self, "mke2fs -q -F -t ext4");
    s_sh(self, "losetup -f --show disk >loop; mount $(cat loop) mount");
    rmt_auto_ptr loop = NULL;
    size_t size;
    rmt_auto_str file = rmt_text("%s/loop", self->folder);
    RMT_OK(rmt_io_load(file, 64, &loop, &size, &error));
    ((char *) loop)[strcspn(loop, "\n")] = '\0';
    assert_int_equal(s_look(loop, "ext4"), RMT_UNCLEAN_NOT);
    assert_int_equal(s_look(self->disk, "ext4"), RMT_UNCLEAN_LOG);
    s_sh(self, "umount mount; losetup -d $(cat loop)");
}

// ---- The layer

// An ext4 with a journal to replay, in disk.
static void
s_crash(bench_t *self)
{
    s_make(self, "mke2fs -q -F -t ext4");
    s_sh(self, "mount -o loop disk mount; for n in $(seq 300); do mkdir mount/$n; done; "
               "sync mount; cp --sparse=always disk copy; umount mount; mv copy disk");
}

static rmt_overlay_t *
s_overlay(bench_t *self, uint64_t limit)
{
    rmt_error_t error = {0};
    rmt_auto_str folder = rmt_text("%s/own", self->folder);
    RMT_OK(rmt_io_mkdirs(folder, 0700, &error));
    const rmt_overlay_setup_t setup = {.device = self->disk,
                                       .folder = folder,
                                       .room = self->folder,
                                       .limit = limit,
                                       .sector = 512};
    rmt_overlay_t *overlay = rmt_overlay_new(&setup, &error);
    RMT_OK(overlay);
    return overlay;
}

static void
test_a_journal_is_replayed_on_a_layer_and_the_device_stays(void **state)
{
    rmt_error_t error = {0};
    bench_t *self = *state;
    s_crash(self);
    s_sh(self, "cp --sparse=always disk copy");
    rmt_auto(rmt_overlay) overlay = s_overlay(self, 64 * MIB);
    const char *device = rmt_overlay_device(overlay);
    assert_int_equal(s_look(device, "ext4"), RMT_UNCLEAN_LOG);
    RMT_OK(rmt_fs_replay("ext4", device, self->mount, &error));
    RMT_OK(rmt_overlay_flush(overlay, &error));
    assert_int_equal(s_look(device, "ext4"), RMT_UNCLEAN_NOT);
    assert_true(rmt_overlay_written(overlay) > 0);
    RMT_OK(rmt_fs_mount(RMT_FS_EXT4, NULL, device, self->mount, true, &error));
    s_sh(self, "[ $(ls mount | grep -c '^[0-9]') = 300 ]");
    RMT_OK(rmt_fs_unmount(self->mount, &error));
    s_sh(self, "cmp disk copy");
}

static void
test_a_layer_that_is_full_says_so(void **state)
{
    rmt_error_t error = {0};
    bench_t *self = *state;
    s_crash(self);
    s_sh(self, "cp --sparse=always disk copy");
    rmt_auto(rmt_overlay) overlay = s_overlay(self, 16384);
    (void) rmt_fs_replay("ext4", rmt_overlay_device(overlay), self->mount, &error);
    RMT_FAILS(rmt_overlay_flush(overlay, &error), RMT_E_NO_SPACE);
    assert_non_null(strstr(error.text, "replay-mib"));
    s_sh(self, "cmp disk copy");
}

// Of any mixture of writes the layer shows what a plain file would; the end is no whole
// block.
static void
test_the_layer_reads_back_what_was_written(void **state)
{
    rmt_error_t error = {0};
    bench_t *self = *state;
    enum { SIZE = 40 * RMT_COW_BLOCK + 1536 };
    s_sh(self, "head -c 165376 /dev/urandom >disk; cp disk copy");
    static uint8_t plain[SIZE], seen[SIZE], data[3 * RMT_COW_BLOCK];
    rmt_auto_fd file = open(self->copy, O_RDONLY | O_CLOEXEC);
    RMT_OK(rmt_io_pread(file, plain, SIZE, 0, &error));
    rmt_auto(rmt_cow) cow =
        rmt_cow_new(open(self->disk, O_RDONLY | O_CLOEXEC),
                    memfd_create("room", MFD_CLOEXEC), SIZE, 64 * RMT_COW_BLOCK);
    uint32_t seed = 7;
    for (int i = 0; i < 400; i++) {
        seed = seed * 1664525 + 1013904223;
        const size_t size = 1 + (seed >> 8) % sizeof data;
        const size_t at = (seed >> 4) % (SIZE - size);
        memset(data, i, size);
        assert_int_equal(rmt_cow_write(cow, data, size, at), 0);
        memcpy(plain + at, data, size);
        assert_int_equal(rmt_cow_read(cow, seen, SIZE, 0), 0);
        assert_memory_equal(seen, plain, SIZE);
    }
    s_sh(self, "cmp disk copy");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_set_up, s_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_was_unmounted_is_clean_and_what_crashed_is_not),
        CASE(test_a_log_that_has_gone_around_is_told_apart_too),
        CASE(test_a_log_ends_anywhere_in_its_ring),
        CASE(test_flags_that_ask_for_a_check_are_seen),
        CASE(test_a_log_on_another_device_is_refused),
        CASE(test_a_device_in_use_is_left_to_its_kernel),
        CASE(test_a_journal_is_replayed_on_a_layer_and_the_device_stays),
        CASE(test_a_layer_that_is_full_says_so),
        CASE(test_the_layer_reads_back_what_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
