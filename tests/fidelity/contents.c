// Contents: holes, zeros, reserved room, sizes.
#include "act.h"
#include "cases.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define KIB ((off_t) 1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

static void
s_fill(int fd, char byte, size_t size, off_t offset)
{
    char *data = malloc(size);
    memset(data, byte, size);
    act_write(fd, data, size, offset);
    free(data);
}

// ---- 2: holes

static void
s_make_holes(int root)
{
    int fd = act_create(root, "front");
    act_write(fd, "end", 3, 5 * MIB);
    close(fd);
    fd = act_create(root, "back");
    act_write(fd, "start", 5, 0);
    ACT(ftruncate(fd, 7 * MIB + 3) == 0);
    close(fd);
    fd = act_create(root, "nothing-but-a-hole");
    ACT(ftruncate(fd, 123457) == 0);
    close(fd);
    fd = act_create(root, "comb");
    for (off_t i = 0; i < 200; i++)
        s_fill(fd, 'c', 4096, i * 64 * KIB);
    close(fd);
    fd = act_create(root, "punched");
    s_fill(fd, 'p', 1048576, 0);
    ACT(fsync(fd) == 0);
    ACT(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 256 * KIB, 512 * KIB) ==
        0);
    close(fd);
    ACT(syncfs(root) == 0);
}

static void
s_check_holes(int copy)
{
    assert_true(act_map(copy, "front").data <= 128);
    assert_true(act_map(copy, "back").data <= 128);
    assert_int_equal(act_map(copy, "nothing-but-a-hole").data, 0);
    assert_true(act_map(copy, "comb").data <= 200 * 8);
    assert_int_equal(act_map(copy, "punched").data, 512);
}

// The blocks of attributes and of the map count as blocks of the file.
static void
s_make_hidden_hole(int root)
{
    char value[3000];
    memset(value, 'v', sizeof value);
    const int fd = act_create(root, "hole-beside-a-large-attribute");
    act_write(fd, "x", 1, 4096);
    ACT(ftruncate(fd, 8192) == 0);
    close(fd);
    act_xattr(root, "hole-beside-a-large-attribute", "user.large", value, sizeof value);
    ACT(syncfs(root) == 0);
}

static void
s_check_hidden_hole(int copy)
{
    assert_true(act_map(copy, "hole-beside-a-large-attribute").data <= 4);
}

static void
s_make_zeros(int root)
{
    int fd = act_create(root, "zeros");
    s_fill(fd, 0, 300000, 0);
    close(fd);
    fd = act_create(root, "zeros-inside");
    s_fill(fd, 'a', 65536, 0);
    s_fill(fd, 0, 4194304, 65536);
    s_fill(fd, 'b', 65536, 65536 + 4194304);
    close(fd);
    ACT(syncfs(root) == 0);
}

static void
s_check_zeros(int copy)
{
    assert_true(act_map(copy, "zeros").data >= 292);
    assert_int_equal(act_map(copy, "zeros-inside").data, 4096 + 128);
}

// ---- 3: sizes

static void
s_make_large(int root)
{
    static const off_t ends[] = {2 * GIB - 1, 2 * GIB + 1, 4 * GIB + 5, 1000 * GIB};
    static const char *const names[] = {"2g-1", "2g+1", "4g+5", "1t"};
    for (size_t i = 0; i < 4; i++) {
        const int fd = act_create(root, names[i]);
        act_write(fd, "first", 5, 0);
        act_write(fd, "last", 4, ends[i] - 4);
        close(fd);
    }
    const int fd = act_create(root, "several-chunks");
    for (off_t i = 0; i < 24; i++)
        s_fill(fd, (char) ('a' + i), 300001, i * 300001);
    close(fd);
    ACT(syncfs(root) == 0);
}

static void
s_check_large(int copy)
{
    char text[4];
    const int fd = act_open(copy, "1t");
    assert_int_equal(pread(fd, text, 4, 1000 * GIB - 4), 4);
    assert_memory_equal(text, "last", 4);
    close(fd);
    assert_int_equal(act_stat(copy, "4g+5").st_size, 4 * GIB + 5);
}

static void
s_make_largest(int root)
{
    const int fd = act_create(root, "largest");
    const off_t size = 0x4000000000000000; // 2^62
    act_write(fd, "last", 4, size - 4096);
    ACT(ftruncate(fd, size) == 0);
    close(fd);
    ACT(syncfs(root) == 0);
}

// ---- 4: reserved room

static void
s_make_reserved(int root)
{
    int fd = act_create(root, "inside");
    s_fill(fd, 'd', 65536, 0);
    ACT(fallocate(fd, 0, 128 * KIB, 256 * KIB) == 0);
    s_fill(fd, 'e', 65536, 1 * MIB);
    close(fd);
    fd = act_create(root, "all");
    ACT(fallocate(fd, 0, 0, 512 * KIB) == 0);
    close(fd);
    fd = act_create(root, "odd-size");
    ACT(fallocate(fd, 0, 0, 100001) == 0);
    close(fd);
    fd = act_create(root, "behind");
    s_fill(fd, 'f', 10000, 0);
    ACT(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1 * MIB) == 0);
    close(fd);
    fd = act_create(root, "empty-with-room");
    ACT(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 256 * KIB) == 0);
    close(fd);
    ACT(syncfs(root) == 0);
}

static void
s_check_reserved(int copy)
{
    const act_map_t inside = act_map(copy, "inside");
    assert_int_equal(inside.data, 128);
    assert_int_equal(inside.reserved, 256);
    assert_int_equal(act_map(copy, "all").reserved, 512);
    assert_int_equal(act_map(copy, "all").data, 0);
    assert_true(act_map(copy, "behind").reserved_behind);
    assert_true(act_map(copy, "empty-with-room").reserved_behind);
    assert_int_equal(act_stat(copy, "empty-with-room").st_size, 0);
}

// What was only read looks like data to SEEK_DATA on some file systems.
static void
s_make_read_reserved(int root)
{
    const int fd = act_create(root, "read");
    ACT(fallocate(fd, 0, 0, 256 * KIB) == 0);
    ACT(fsync(fd) == 0);
    char buffer[65536];
    for (int i = 0; i < 4; i++)
        ACT(read(fd, buffer, sizeof buffer) == sizeof buffer);
    close(fd);
    // Written, and not on disk yet: data, whatever the map says.
    const int late = act_create(root, "late");
    ACT(fallocate(late, 0, 0, 256 * KIB) == 0);
    ACT(fsync(late) == 0);
    s_fill(late, 'l', 131072, 65536);
    close(late);
}

static void
s_check_read_reserved(int copy)
{
    assert_int_equal(act_map(copy, "read").reserved, 256);
    char text[4];
    const int fd = act_open(copy, "late");
    assert_int_equal(pread(fd, text, 4, 65536), 4);
    assert_memory_equal(text, "llll", 4);
    close(fd);
}

static void
s_make_reflinks(int root)
{
    const int from = act_create(root, "one");
    s_fill(from, 'r', 1048576, 0);
    const int to = act_create(root, "two");
    ACT(ioctl(to, FICLONE, from) == 0);
    act_write(to, "changed", 7, 500000);
    close(from);
    close(to);
    ACT(syncfs(root) == 0);
}

static void
s_check_reflinks(int copy)
{
    char text[7];
    int fd = act_open(copy, "one");
    assert_int_equal(pread(fd, text, 7, 500000), 7);
    assert_memory_equal(text, "rrrrrrr", 7);
    close(fd);
    fd = act_open(copy, "two");
    assert_int_equal(pread(fd, text, 7, 500000), 7);
    assert_memory_equal(text, "changed", 7);
    close(fd);
}

// ---- 30: flags of btrfs that decide how contents lie

static void
s_make_compressed(int root)
{
    act_folder(root, "compressed");
    act_flags(root, "compressed", FS_COMPR_FL);
    int fd = act_create(root, "compressed/file");
    s_fill(fd, 'z', 1048576, 0);
    s_fill(fd, 'y', 4096, 3 * MIB);
    close(fd);
    fd = act_create(root, "property");
    act_xattr(root, "property", "btrfs.compression", "zstd", 4);
    s_fill(fd, 'z', 300000, 0);
    close(fd);
    fd = act_create(root, "not-compressed");
    act_flags(root, "not-compressed", FS_NOCOMP_FL);
    close(fd);
    ACT(syncfs(root) == 0);
}

static void
s_check_compressed(int copy)
{
    assert_true(act_get_flags(copy, "compressed/file") & FS_COMPR_FL);
    assert_true(act_get_flags(copy, "not-compressed") & FS_NOCOMP_FL);
    assert_true(act_has_xattr(copy, "property", "btrfs.compression", "zstd", 4));
}

static void
s_make_nocow(int root)
{
    act_folder(root, "vm");
    act_flags(root, "vm", FS_NOCOW_FL);
    const int fd = act_create(root, "vm/disk");
    s_fill(fd, 'v', 100000, 0);
    ACT(ftruncate(fd, 10 * MIB) == 0);
    ACT(fallocate(fd, 0, 5 * MIB, 1 * MIB) == 0);
    close(fd);
    const int other = act_create(root, "alone");
    act_flags(root, "alone", FS_NOCOW_FL);
    s_fill(other, 'w', 100000, 0);
    close(other);
    ACT(syncfs(root) == 0);
}

static void
s_check_nocow(int copy)
{
    assert_true(act_get_flags(copy, "vm/disk") & FS_NOCOW_FL);
    assert_true(act_get_flags(copy, "alone") & FS_NOCOW_FL);
}

static const fidelity_case_t s_cases[] = {
    {.number = 2,
     .name = "holes_stay_holes",
     .make = s_make_holes,
     .check = s_check_holes},
    {.number = 2,
     .name = "a_hole_is_seen_whatever_else_has_blocks",
     .make = s_make_hidden_hole,
     .check = s_check_hidden_hole},
    {.number = 2,
     .name = "zeros_that_are_data_stay_data",
     .make = s_make_zeros,
     .check = s_check_zeros},
    {.number = 3,
     .name = "sizes_and_offsets_have_64_bits",
     .make = s_make_large,
     .check = s_check_large,
     .is_large = true},
    {.number = 3,
     .name = "largest_sizes_are_carried_or_refused",
     .make = s_make_largest,
     .sources = ON_XFS | ON_BTRFS,
     .refused = ON_EXT4,
     .words = "set size 4611686018427387904"},
    {.number = 4,
     .name = "reserved_room_stays_reserved",
     .make = s_make_reserved,
     .check = s_check_reserved},
    {.number = 4,
     .name = "reserved_room_is_told_from_what_was_read_or_written_late",
     .make = s_make_read_reserved,
     .check = s_check_read_reserved},
    {.number = 4,
     .name = "reflinked_files_come_as_two_files",
     .make = s_make_reflinks,
     .check = s_check_reflinks,
     .sources = ON_XFS | ON_BTRFS},
    {.number = 30,
     .name = "compression_is_carried_or_refused",
     .make = s_make_compressed,
     .check = s_check_compressed,
     .sources = ON_BTRFS,
     .refused = ON_EXT4 | ON_XFS,
     .words = "compress"},
    {.number = 30,
     .name = "nocow_is_carried_or_refused",
     .make = s_make_nocow,
     .check = s_check_nocow,
     .sources = ON_BTRFS,
     .refused = ON_EXT4 | ON_XFS,
     .words = "inode flags nocow"},
};

const fidelity_cases_t cases_contents = {s_cases, sizeof s_cases / sizeof s_cases[0]};
