#include "disk/rmt_remake.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_array.h"
#include "disk/rmt_disk.h"
#include "disk/rmt_fs.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// Tables of files of a FAT volume are written whole.
#define VFAT_BYTES_MAX ((uint64_t) 64 * 1024 * 1024 * 1024)

// A sparse file in memory that programs can open as well; -1 with error.
static int
s_open(uint64_t bytes, char **path_out, rmt_error_t *error)
{
    // Without MFD_CLOEXEC: mkfs programs reach it by this path.
    rmt_auto_fd fd = memfd_create("ramet-remake", 0);
    if (fd == -1 || ftruncate(fd, (off_t) bytes) == -1)
        return rmt_fail_errno(error, "make a file in memory");
    *path_out = rmt_text("/proc/self/fd/%d", fd);
    return rmt_take_fd(&fd);
}

// The layout is at fault, whatever code a program or library has given.
static int
s_refuse(rmt_error_t *error, const char *what)
{
    const rmt_error_t why = *error;
    return rmt_fail(error, RMT_E_UNSUPPORTED, "%s cannot be made again: %s", what,
                    why.text);
}

// Libraries take such a character apart in a name of a GPT, and do not join it again.
static int
s_check_names(const rmt_layout_t *own, rmt_error_t *error)
{
    for (size_t i = 0; i < own->partition_count; i++) {
        const rmt_layout_partition_t *partition = &own->partitions[i];
        for (const char *at = partition->name ? partition->name : ""; *at; at++)
            if ((unsigned char) *at >= 0xf0)
                return rmt_fail(error, RMT_E_UNSUPPORTED,
                                "partition %" PRIu64 " has the name '%s', with a "
                                "character above U+FFFF, which cannot be written again; "
                                "rename it on the source, such as: sgdisk -c %" PRIu64
                                ":data DISK",
                                partition->number, partition->name, partition->number);
    }
    return 0;
}

// *written_out is the disk as it would be: sizes.
static int
s_try_table(const rmt_layout_t *own, uint64_t bytes, rmt_layout_t **written_out,
            rmt_error_t *error)
{
    rmt_auto_str path = NULL;
    if (s_check_names(own, error) == -1)
        return -1;
    rmt_auto_fd fd = s_open(bytes, &path, error);
    if (fd == -1)
        return -1;
    rmt_auto(rmt_layout) written = rmt_disk_write(path, own, 0, error);
    if (!written)
        return s_refuse(error, "the partition table");
    *written_out = rmt_take(&written);
    return 0;
}

static int
s_try_volume(const rmt_layout_volume_t *volume, uint64_t bytes, bool is_source,
             rmt_error_t *error)
{
    rmt_auto_str path = NULL;
    if (volume->fs == RMT_FS_VFAT && bytes > VFAT_BYTES_MAX)
        return 0;
    rmt_auto_fd fd = s_open(bytes, &path, error);
    if (fd == -1)
        return -1;
    if (rmt_fs_try(volume->format, path, error) == 0 ||
        (is_source && error->code == RMT_E_NOT_FOUND))
        return 0;
    const char *fs = rmt_record_text(volume->format, "fs", "?");
    rmt_auto_str what =
        volume->array ? rmt_text("the %s of array %s", fs, volume->array)
        : volume->logical
            ? rmt_text("the %s of logical volume %s", fs, volume->logical)
            : rmt_text("the %s of partition %" PRIu64, fs, volume->partition);
    return s_refuse(error, what);
}

// Subvolumes are volumes of one file system.
static bool
s_is_sibling(const rmt_layout_t *layout, size_t index)
{
    const rmt_layout_volume_t *volume = &layout->volumes[index];
    for (size_t i = 0; volume->subvolume && i < index; i++) {
        const rmt_layout_volume_t *other = &layout->volumes[i];
        if (rmt_layout_is_beside(other, volume))
            return true;
    }
    return false;
}

// The members on other disks have the size that they had.
static uint64_t
s_given_array(const rmt_layout_t *layout, const rmt_layout_t *written,
              const rmt_layout_volume_t *volume)
{
    const rmt_layout_array_t *array =
        rmt_layout_find_array(layout, rmt_layout_array_below(layout, volume));
    rmt_array_place_t places[RMT_LAYOUT_MEMBERS_MAX];
    for (size_t i = 0; i < layout->member_count; i++) {
        const rmt_layout_member_t *member = &layout->members[i];
        const bool is_own = member->disk == volume->disk;
        const rmt_layout_partition_t *partition = rmt_layout_find_partition(
            is_own ? written : layout, is_own ? 0 : member->disk, member->partition);
        places[i] = (rmt_array_place_t){
            .fd = -1, .bytes = partition->size * layout->disks[member->disk].sector};
    }
    return rmt_array_bytes(layout, (size_t) (array - layout->arrays), places);
}

// Bytes of the physical volume of a logical one.
static uint64_t
s_given_physical(const rmt_layout_t *layout, const rmt_layout_t *written,
                 const rmt_layout_volume_t *volume, const rmt_layout_logical_t *logical,
                 uint64_t bytes)
{
    const rmt_layout_partition_t *partition =
        rmt_layout_find_partition(written, 0, logical->partition);
    return *logical->array ? s_given_array(layout, written, volume)
           : partition
               ? partition->size * written->disks[0].sector -
                     rmt_layout_crypt_bytes(layout, logical->disk, logical->partition)
               : bytes;
}

// written: the volume's disk alone. What lies on no partition of a table has the size
// that it had.
static uint64_t
s_given(const rmt_layout_t *layout, const rmt_layout_t *written,
        const rmt_layout_volume_t *volume, uint64_t bytes)
{
    const rmt_layout_logical_t *logical = rmt_layout_logical_of(layout, volume);
    uint64_t first = 0;
    if (volume->array)
        return s_given_array(layout, written, volume);
    if (logical)
        return rmt_layout_crypt_rest(
            layout, volume,
            rmt_layout_place(layout, logical,
                             s_given_physical(layout, written, volume, logical, bytes),
                             &first) *
                layout->groups[logical->group].extent_size);
    const rmt_layout_partition_t *partition =
        rmt_layout_find_partition(written, 0, volume->partition);
    if (partition)
        return rmt_layout_crypt_rest(layout, volume,
                                     partition->size * written->disks[0].sector);
    return written->disks[0].table == RMT_TABLE_NONE
               ? bytes
               : rmt_record_u64(volume->format, "bytes", bytes);
}

int
rmt_remake_try(const rmt_layout_t *layout, size_t disk, uint64_t bytes, bool is_source,
               rmt_error_t *error)
{
    assert(layout);
    rmt_auto(rmt_layout) own = rmt_layout_select(layout, disk);
    rmt_auto(rmt_layout) written = NULL;
    if (s_try_table(own, bytes, &written, error) == -1)
        return -1;
    for (size_t i = 0; i < layout->volume_count; i++) {
        const rmt_layout_volume_t *volume = &layout->volumes[i];
        if (volume->disk != disk || s_is_sibling(layout, i))
            continue;
        if (s_try_volume(volume, s_given(layout, written, volume, bytes), is_source,
                         error) == -1)
            return -1;
    }
    return 0;
}
