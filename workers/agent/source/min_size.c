#include "agent/source/min_size.h"
#include "disk/rmt_fs.h"

static const rmt_layout_volume_t *
s_volume_of(const rmt_layout_t *layout, const rmt_layout_partition_t *partition)
{
    for (size_t i = 0; i < layout->volume_count; i++)
        if (layout->volumes[i].partition == partition->number)
            return &layout->volumes[i];
    return NULL;
}

// Swap behind all others holds nothing that must stay where it is.
static void
s_find_end(rmt_layout_t *layout)
{
    rmt_layout_partition_t *last;
    while ((last = rmt_layout_growing(layout, 0))) {
        const rmt_layout_volume_t *volume = s_volume_of(layout, last);
        if (!volume || volume->fs != RMT_FS_SWAP)
            return;
        last->at_end = true;
    }
}

static void
s_forget_end(rmt_layout_t *layout)
{
    for (size_t i = 0; i < layout->partition_count; i++)
        layout->partitions[i].at_end = false;
}

void
rmt_min_size_set(rmt_layout_t *layout)
{
    rmt_layout_disk_t *disk = &layout->disks[0];
    s_find_end(layout);
    rmt_layout_partition_t *growing = rmt_layout_growing(layout, 0);
    const rmt_layout_volume_t *first = NULL;
    uint64_t bytes = 0, files = 0;
    for (size_t i = 0; growing && i < layout->volume_count; i++) {
        const rmt_layout_volume_t *volume = &layout->volumes[i];
        if (!rmt_fs_is_mounted(volume->fs) || volume->partition != growing->number)
            continue;
        first = first ? first : volume;
        bytes += volume->bytes_tree + volume->bytes_reserved;
        files += volume->files;
    }
    if (!first) {
        s_forget_end(layout);
        return;
    }
    const uint64_t least = rmt_fs_min_bytes(first->format, bytes, files);
    if (least / disk->sector < growing->size)
        growing->min_size = (least + disk->sector - 1) / disk->sector;
    disk->grow = true;
}
