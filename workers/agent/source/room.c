#include "agent/source/room.h"
#include "disk/rmt_fs.h"

#include <stdint.h>
#include <string.h>

static bool
s_is_class(const rmt_record_t *record, const char *class)
{
    return strcmp(rmt_record_text(record, "class", ""), class) == 0;
}

static rmt_record_t *
s_last_partition(rmt_records_t *layout)
{
    rmt_record_t *last = NULL;
    for (size_t i = 0; i < rmt_records_count(layout); i++) {
        rmt_record_t *record = rmt_records_at(layout, i);
        if (s_is_class(record, "partition") &&
            (!last ||
             rmt_record_u64(record, "start", 0) > rmt_record_u64(last, "start", 0)))
            last = record;
    }
    return last;
}

void
rmt_room_settle(rmt_records_t *layout)
{
    rmt_record_t *disk = rmt_records_find(layout, "class", "disk");
    rmt_record_t *last = s_last_partition(layout);
    const rmt_record_t *first = NULL;
    uint64_t bytes = 0, files = 0;
    for (size_t i = 0; last && i < rmt_records_count(layout); i++) {
        const rmt_record_t *volume = rmt_records_at(layout, i);
        if (!s_is_class(volume, "volume") || !rmt_fs_is_mounted(volume) ||
            strcmp(rmt_record_text(volume, "partition", ""),
                   rmt_record_text(last, "number", "")) != 0)
            continue;
        first = first ? first : volume;
        bytes += rmt_record_u64(volume, "bytes-tree", 0) +
                 rmt_record_u64(volume, "bytes-reserved", 0);
        files += rmt_record_u64(volume, "files", 0);
    }
    if (!first)
        return;
    const uint64_t sector = rmt_record_u64(disk, "logical-sector", 512);
    const uint64_t least = rmt_fs_min_bytes(first, bytes, files);
    if (least / sector < rmt_record_u64(last, "size", 0))
        rmt_record_set_u64(last, "min-size", (least + sector - 1) / sector);
    rmt_record_set(disk, "grow", "yes");
}
