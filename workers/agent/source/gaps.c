#include "agent/source/gaps.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "base/rmt_io.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STEP ((size_t) 64 * 1024)
// What belongs to a boot loader begins near the beginning of its gap.
#define LOOK_MAX ((uint64_t) 16 * 1024 * 1024)
#define GPT_FIRST 34

typedef struct {
    uint64_t begin, end; // Bytes
} range_t;

typedef struct {
    range_t *items;
    size_t count;
} ranges_t;

static void
s_add(ranges_t *self, uint64_t begin, uint64_t end)
{
    rmt_grow_one(&self->items, self->count);
    self->items[self->count++] = (range_t){begin, end};
}

static int
s_compare(const void *a, const void *b)
{
    const range_t *one = a;
    const range_t *two = b;
    return one->begin == two->begin ? 0 : one->begin < two->begin ? -1 : 1;
}

// What is known of the disk: its table at both ends, partitions, boot code. An extended
// partition has sectors of the table anywhere inside.
static void
s_add_known(ranges_t *known, const rmt_layout_t *layout, size_t index,
            const rmt_records_t *boot)
{
    const rmt_layout_disk_t *disk = &layout->disks[index];
    const uint64_t head = disk->table == RMT_TABLE_GPT ? GPT_FIRST : 1;
    s_add(known, 0, head * disk->sector);
    if (disk->table == RMT_TABLE_GPT)
        s_add(known, disk->bytes - rmt_layout_tail(disk) * disk->sector, disk->bytes);
    for (size_t i = 0; i < layout->partition_count; i++)
        if (layout->partitions[i].disk == index)
            s_add(known, layout->partitions[i].start * disk->sector,
                  rmt_layout_end(&layout->partitions[i]) * disk->sector);
    for (size_t i = 0; i < rmt_records_count(boot); i++) {
        const rmt_record_t *piece = rmt_records_at(boot, i);
        const uint64_t offset = rmt_record_u64(piece, "offset", 0);
        size_t size = 0;
        if (rmt_record_is(piece, "disk", disk->role) &&
            rmt_record_get(piece, "content", &size))
            s_add(known, offset, offset + size);
    }
}

// Does a gap begin with data within what is looked at?
static int
s_has_data(int fd, const range_t *gap, bool *has_data_out, rmt_error_t *error)
{
    static const char zeros[STEP];
    rmt_auto_ptr data = malloc(STEP);
    if (!data)
        abort();
    const uint64_t end =
        gap->end - gap->begin > LOOK_MAX ? gap->begin + LOOK_MAX : gap->end;
    *has_data_out = false;
    for (uint64_t at = gap->begin; at < end && !*has_data_out; at += STEP) {
        const size_t size = end - at < STEP ? (size_t) (end - at) : STEP;
        if (rmt_io_pread(fd, data, size, (off_t) at, error) == -1)
            return rmt_wrap(error, "data outside of partitions");
        *has_data_out = memcmp(data, zeros, size) != 0;
    }
    return 0;
}

static int
s_tell(rmt_source_disk_t *disk, size_t index, const range_t *gap, rmt_error_t *error)
{
    bool has_data = false;
    const rmt_layout_t *layout = rmt_source_disk_layout(disk);
    const uint64_t sector = layout->disks[index].sector;
    const int fd = rmt_source_disk_fd(disk, index);
    if (s_has_data(fd, gap, &has_data, error) == -1)
        return -1;
    rmt_auto_str which = layout->disk_count > 1
                             ? rmt_text("disk '%s'", layout->disks[index].role)
                             : rmt_text("the disk");
    rmt_auto_str path = rmt_text("sectors %" PRIu64 " to %" PRIu64 " of %s",
                                 gap->begin / sector, gap->end / sector - 1, which);
    if (has_data)
        rmt_source_disk_drop(disk, path,
                             "data outside of all partitions, such as the boot loader of "
                             "a single-board computer: copies do not have it");
    return 0;
}

static int
s_tell_disk(rmt_source_disk_t *disk, size_t index, const rmt_records_t *boot,
            rmt_error_t *error)
{
    const rmt_layout_t *layout = rmt_source_disk_table(disk);
    const rmt_layout_disk_t *own = &layout->disks[index];
    if (rmt_source_disk_fd(disk, index) == -1 || own->table == RMT_TABLE_NONE ||
        !own->bytes)
        return 0;
    ranges_t known = {.items = NULL};
    s_add_known(&known, layout, index, boot);
    s_add(&known, own->bytes, own->bytes);
    qsort(known.items, known.count, sizeof *known.items, s_compare);
    uint64_t done = 0;
    int rc = 0;
    for (size_t i = 0; i < known.count && rc == 0; i++) {
        const range_t gap = {done, known.items[i].begin};
        if (gap.end > gap.begin)
            rc = s_tell(disk, index, &gap, error);
        done = known.items[i].end > done ? known.items[i].end : done;
    }
    free(known.items);
    return rc;
}

int
rmt_gaps_tell(rmt_source_disk_t *disk, const rmt_records_t *boot, rmt_error_t *error)
{
    for (size_t i = 0; i < rmt_source_disk_layout(disk)->disk_count; i++)
        if (s_tell_disk(disk, i, boot, error) == -1)
            return -1;
    return 0;
}
