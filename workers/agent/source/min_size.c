#include "agent/source/min_size.h"
#include "base/rmt_auto.h"
#include "disk/rmt_fs.h"

static const rmt_layout_volume_t *
s_volume_of(const rmt_layout_t *layout, const rmt_layout_partition_t *partition)
{
    for (size_t i = 0; i < layout->volume_count; i++)
        if (layout->volumes[i].disk == partition->disk &&
            layout->volumes[i].partition == partition->number)
            return &layout->volumes[i];
    return NULL;
}

// Swap behind all others holds nothing that must stay where it is.
static void
s_find_end(rmt_layout_t *layout, size_t disk)
{
    rmt_layout_partition_t *last;
    while ((last = rmt_layout_growing(layout, disk))) {
        const rmt_layout_volume_t *volume = s_volume_of(layout, last);
        if (!volume || volume->fs != RMT_FS_SWAP)
            return;
        last->at_end = true;
    }
}

static void
s_forget_end(rmt_layout_t *layout, size_t disk)
{
    for (size_t i = 0; i < layout->partition_count; i++)
        if (layout->partitions[i].disk == disk)
            layout->partitions[i].at_end = false;
}

// Bytes that the trees of a device need; 0 for what is not mounted.
static uint64_t
s_least(const rmt_layout_t *layout, size_t disk, uint64_t partition, const char *logical)
{
    const rmt_layout_volume_t place = {
        .disk = disk, .partition = partition, .logical = (char *) logical};
    const rmt_layout_volume_t *first = NULL;
    uint64_t bytes = 0, files = 0;
    for (size_t i = 0; i < layout->volume_count; i++) {
        const rmt_layout_volume_t *volume = &layout->volumes[i];
        if (!rmt_fs_is_mounted(volume->fs) || !rmt_layout_is_beside(volume, &place))
            continue;
        first = first ? first : volume;
        bytes += volume->bytes_tree + volume->bytes_reserved;
        bytes += rmt_layout_first_boot(layout, volume);
        files += volume->files;
    }
    const rmt_layout_crypt_t *crypt = rmt_layout_crypt_of(layout, &place);
    return first ? rmt_fs_min_bytes(first->format, bytes, files) +
                       (crypt ? crypt->data_start : 0)
                 : 0;
}

// Of the volumes on a physical volume the root grows, else the largest that is mounted.
static rmt_layout_logical_t *
s_find_growing(rmt_layout_t *layout, const rmt_layout_physical_t *physical)
{
    rmt_layout_logical_t *best = NULL;
    const rmt_layout_volume_t *root = rmt_layout_root(layout);
    for (size_t i = 0; i < layout->volume_count; i++) {
        const rmt_layout_volume_t *volume = &layout->volumes[i];
        rmt_layout_logical_t *logical =
            volume->logical ? rmt_layout_find_logical(layout, volume->logical) : NULL;
        if (!logical ||
            rmt_layout_find_physical(layout, logical->disk, logical->partition,
                                     logical->array) != physical ||
            rmt_layout_is_spread(layout, logical) || !rmt_fs_is_mounted(volume->fs))
            continue;
        if (volume == root)
            return logical;
        if (!best || logical->extents > best->extents)
            best = logical;
    }
    return best;
}

static uint64_t
s_least_of_physical(rmt_layout_t *layout, const rmt_layout_physical_t *physical)
{
    rmt_layout_logical_t *logical = s_find_growing(layout, physical);
    if (logical) {
        const uint64_t size = layout->groups[logical->group].extent_size;
        rmt_auto_str path = rmt_layout_logical_path(layout, logical);
        const uint64_t least =
            (s_least(layout, logical->disk, 0, path) + size - 1) / size;
        logical->grow = true;
        if (least < logical->extents)
            logical->min_extents = least;
    }
    return rmt_layout_physical_min_bytes(layout, physical) +
           rmt_layout_crypt_bytes(layout, physical->disk, physical->partition);
}

static void
s_set_disk(rmt_layout_t *layout, size_t index)
{
    rmt_layout_disk_t *disk = &layout->disks[index];
    s_find_end(layout, index);
    rmt_layout_partition_t *growing = rmt_layout_growing(layout, index);
    const rmt_layout_physical_t *physical =
        rmt_layout_find_physical(layout, index, growing ? growing->number : 0, "");
    if (physical && !growing) {
        disk->required_bytes = s_least_of_physical(layout, physical);
        return;
    }
    const uint64_t least = physical  ? s_least_of_physical(layout, physical)
                           : growing ? s_least(layout, index, growing->number, NULL)
                                     : 0;
    if (!least) {
        s_forget_end(layout, index);
        return;
    }
    if (least / disk->sector < growing->size)
        growing->min_size = (least + disk->sector - 1) / disk->sector;
    disk->grow = true;
}

void
rmt_min_size_set(rmt_layout_t *layout)
{
    for (size_t i = 0; i < layout->disk_count; i++)
        s_set_disk(layout, i);
}
