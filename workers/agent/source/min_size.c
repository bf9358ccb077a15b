#include "agent/source/min_size.h"
#include "disk/rmt_fs.h"

static rmt_layout_partition_t *
s_last_partition(rmt_layout_t *layout)
{
    rmt_layout_partition_t *last = NULL;
    for (size_t i = 0; i < layout->partition_count; i++)
        if (!last || layout->partitions[i].start > last->start)
            last = &layout->partitions[i];
    return last;
}

void
rmt_min_size_set(rmt_layout_t *layout)
{
    rmt_layout_disk_t *disk = &layout->disks[0];
    rmt_layout_partition_t *last = s_last_partition(layout);
    const rmt_layout_volume_t *first = NULL;
    uint64_t bytes = 0, files = 0;
    for (size_t i = 0; last && i < layout->volume_count; i++) {
        const rmt_layout_volume_t *volume = &layout->volumes[i];
        if (!rmt_fs_is_mounted(volume->fs) || volume->partition != last->number)
            continue;
        first = first ? first : volume;
        bytes += volume->bytes_tree + volume->bytes_reserved;
        files += volume->files;
    }
    if (!first)
        return;
    const uint64_t least = rmt_fs_min_bytes(first->format, bytes, files);
    if (least / disk->sector < last->size)
        last->min_size = (least + disk->sector - 1) / disk->sector;
    disk->grow = true;
}
