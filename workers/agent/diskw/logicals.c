#include "agent/diskw/work.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_fs.h"
#include "disk/rmt_group.h"
#include "disk/rmt_pv.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

static const rmt_layout_partition_t *
s_written(const rmt_work_disk_t *disk, uint64_t number)
{
    return rmt_layout_find_partition(disk->layout, 0, number);
}

// Of the partition of a physical volume, as it was written.
static uint64_t
s_bytes(rmt_work_t *self, size_t disk, uint64_t partition)
{
    const rmt_work_disk_t *written = rmt_work_disk_of(self, disk);
    return s_written(written, partition)->size * written->ordered->sector;
}

static int
s_write_physical(rmt_work_t *self, size_t index, const uint64_t *bytes,
                 rmt_error_t *error)
{
    const rmt_layout_physical_t *physical = &self->layout->physicals[index];
    rmt_work_disk_t *disk = rmt_work_disk_of(self, physical->disk);
    self->at = disk;
    const rmt_layout_partition_t *around = s_written(disk, physical->partition);
    rmt_auto_str text = rmt_group_print(self->layout, physical->group, bytes);
    rmt_pv_t pv = {
        .bytes = bytes[index], .data_start = physical->data_start, .text = text};
    snprintf(pv.uuid, sizeof pv.uuid, "%s", physical->uuid);
    if (rmt_pv_write(rmt_blockdev_fd(disk->device), around->start * disk->ordered->sector,
                     &pv, error) == -1)
        return rmt_wrap(error, "physical volume in partition %" PRIu64,
                        physical->partition);
    return 0;
}

// A group may lie on several disks, and each of its heads tells the sizes of all.
int
rmt_work_write_groups(rmt_work_t *self, rmt_error_t *error)
{
    const rmt_layout_t *layout = self->layout;
    uint64_t bytes[RMT_LAYOUT_PHYSICALS_MAX] = {0};
    for (size_t i = 0; i < layout->physical_count; i++) {
        const rmt_layout_physical_t *physical = &layout->physicals[i];
        if (!rmt_work_disk_of(self, physical->disk))
            return rmt_fail(error, RMT_E_USAGE,
                            "the order names no disk for role '%s', on which group %s "
                            "lies",
                            layout->disks[physical->disk].role,
                            layout->groups[physical->group].name);
        bytes[i] = s_bytes(self, physical->disk, physical->partition);
    }
    for (size_t i = 0; i < layout->physical_count; i++)
        if (s_write_physical(self, i, bytes, error) == -1)
            return -1;
    return 0;
}

// One that lies in one piece is told to the kernel as a partition that the table lacks:
// the physical volume around it is not told.
static char *
s_whole(rmt_work_t *self, const rmt_layout_logical_t *logical, rmt_error_t *error)
{
    const rmt_layout_t *layout = self->layout;
    const rmt_work_disk_t *disk = rmt_work_disk_of(self, logical->disk);
    uint64_t first = 0;
    const uint64_t extents = rmt_layout_place(
        layout, logical, s_bytes(self, logical->disk, logical->partition), &first);
    const rmt_layout_run_t run = rmt_layout_run(
        layout, rmt_layout_find_physical(layout, logical->disk, logical->partition),
        first, extents);
    const uint32_t number =
        rmt_layout_free_number(layout, (size_t) (logical - layout->logicals));
    return rmt_blockdev_partition(disk->device, number, run.start, run.size, error);
}

static char *
s_spread(rmt_work_t *self, size_t index, rmt_error_t *error)
{
    const rmt_layout_t *layout = self->layout;
    uint64_t sector = 0;
    rmt_auto_str name = rmt_text("logical-%zu", index);
    rmt_auto_ptr memory = calloc(layout->piece_count, sizeof(rmt_mapping_member_t));
    if (!memory)
        abort();
    rmt_mapping_member_t *places = memory;
    for (size_t i = 0; i < layout->piece_count; i++) {
        const rmt_layout_piece_t *piece = &layout->pieces[i];
        if (piece->logical != index)
            continue;
        const rmt_work_disk_t *disk = rmt_work_disk_of(self, piece->disk);
        const rmt_layout_run_t run = rmt_layout_run(
            layout, rmt_layout_find_physical(layout, piece->disk, piece->partition),
            rmt_layout_place_piece(layout, piece,
                                   s_bytes(self, piece->disk, piece->partition)),
            piece->extents);
        places[i] = (rmt_mapping_member_t){.fd = rmt_blockdev_fd(disk->device),
                                           .offset = run.start * disk->ordered->sector};
        if (disk->ordered->sector > sector)
            sector = disk->ordered->sector;
    }
    rmt_auto(rmt_mapping) mapping = rmt_group_map(layout, index, places);
    rmt_work_shown_t *shown = &self->logicals[index];
    return rmt_work_show(self, shown, name, &mapping, sector, error) == -1
               ? NULL
               : rmt_text("%s", rmt_fuse_disk_device(shown->disk));
}

char *
rmt_work_device_of_logical(rmt_work_t *self, const rmt_layout_logical_t *logical,
                           rmt_error_t *error)
{
    const size_t index = (size_t) (logical - self->layout->logicals);
    rmt_auto_str device = rmt_layout_is_spread(self->layout, logical)
                              ? s_spread(self, index, error)
                              : s_whole(self, logical, error);
    // Where it begins something of an older layout may lie.
    return device && rmt_fs_wipe(device, error) == 0 ? rmt_take(&device) : NULL;
}
