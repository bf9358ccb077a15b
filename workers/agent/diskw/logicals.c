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

// The device of an array; NULL: what has this uuid ("") lies on a disk.
static rmt_blockdev_t *
s_array(const rmt_work_t *self, const char *uuid)
{
    const rmt_layout_array_t *array = rmt_layout_find_array(self->layout, uuid);
    return array ? rmt_fuse_disk_blockdev(self->arrays[array - self->layout->arrays].disk)
                 : NULL;
}

// The disk, array or encryption on which a physical volume lies.
static rmt_blockdev_t *
s_below(rmt_work_t *self, const rmt_layout_physical_t *physical)
{
    const rmt_layout_crypt_t *crypt = rmt_layout_crypt_around(self->layout, physical);
    if (crypt)
        return rmt_fuse_disk_blockdev(self->crypts[crypt - self->layout->crypts].disk);
    rmt_blockdev_t *array = s_array(self, physical->array);
    return array ? array : rmt_work_disk_of(self, physical->disk)->device;
}

// The partition around it, which the kernel is not told of; NULL: it has all that is
// below it.
static const rmt_layout_partition_t *
s_around(rmt_work_t *self, const rmt_layout_physical_t *physical)
{
    return rmt_layout_crypt_around(self->layout, physical)
               ? NULL
               : s_written(rmt_work_disk_of(self, physical->disk), physical->partition);
}

// Of its partition, disk, array or encryption, as it is here.
static uint64_t
s_bytes(rmt_work_t *self, const rmt_layout_physical_t *physical)
{
    const rmt_work_disk_t *disk = rmt_work_disk_of(self, physical->disk);
    const rmt_layout_partition_t *written = s_around(self, physical);
    return written ? written->size * disk->ordered->sector
                   : rmt_blockdev_bytes(s_below(self, physical));
}

static int
s_write_physical(rmt_work_t *self, size_t index, const uint64_t *bytes,
                 rmt_error_t *error)
{
    const rmt_layout_physical_t *physical = &self->layout->physicals[index];
    rmt_work_disk_t *disk = rmt_work_disk_of(self, physical->disk);
    self->at = disk;
    const rmt_blockdev_t *below = s_below(self, physical);
    const rmt_layout_partition_t *around = s_around(self, physical);
    rmt_auto_str text = rmt_group_print(self->layout, physical->group, bytes);
    rmt_pv_t pv = {
        .bytes = bytes[index], .data_start = physical->data_start, .text = text};
    snprintf(pv.uuid, sizeof pv.uuid, "%s", physical->uuid);
    // Inside of an array something of an older one may lie, which no table told of.
    if ((*physical->array && rmt_fs_wipe(rmt_blockdev_path(below), error) == -1) ||
        rmt_pv_write(rmt_blockdev_fd(below),
                     around ? around->start * disk->ordered->sector : 0, &pv,
                     error) == -1)
        return rmt_wrap(error, "physical volume %s", physical->uuid);
    return 0;
}

// Where a piece begins on the target, with the data about it.
static rmt_mapping_member_t
s_place(rmt_work_t *self, const rmt_layout_piece_t *piece)
{
    const rmt_layout_t *layout = self->layout;
    const rmt_layout_physical_t *physical =
        rmt_layout_find_physical(layout, piece->disk, piece->partition, piece->array);
    const uint64_t first = rmt_layout_place_piece(layout, piece, s_bytes(self, physical));
    return (rmt_mapping_member_t){
        .fd = rmt_blockdev_fd(s_below(self, physical)),
        .offset = rmt_layout_run(layout, physical, first, piece->extents).start};
}

static int
s_clear_legs(rmt_work_t *self, rmt_error_t *error)
{
    for (size_t i = 0; i < self->layout->piece_count; i++) {
        const rmt_layout_piece_t *piece = &self->layout->pieces[i];
        const rmt_mapping_member_t place = s_place(self, piece);
        if (*self->layout->logicals[piece->logical].raid && piece->meta_extents &&
            rmt_group_clear_leg(self->layout, piece, &place, error) == -1)
            return -1;
    }
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
        bytes[i] = s_bytes(self, physical);
    }
    for (size_t i = 0; i < layout->physical_count; i++)
        if (s_write_physical(self, i, bytes, error) == -1)
            return -1;
    return s_clear_legs(self, error);
}

// One that lies in one piece is told to the kernel as a partition that the table lacks:
// the physical volume around it is not told.
static char *
s_whole(rmt_work_t *self, const rmt_layout_logical_t *logical, rmt_error_t *error)
{
    const rmt_layout_t *layout = self->layout;
    const rmt_layout_physical_t *physical = rmt_layout_find_physical(
        layout, logical->disk, logical->partition, logical->array);
    rmt_blockdev_t *below = s_below(self, physical);
    uint64_t first = 0;
    const uint64_t extents =
        rmt_layout_place(layout, logical, s_bytes(self, physical), &first);
    const rmt_layout_run_t run = rmt_layout_run(layout, physical, first, extents);
    const uint32_t sector = rmt_blockdev_sector(below);
    const uint32_t number =
        rmt_layout_free_number(layout, (size_t) (logical - layout->logicals));
    return rmt_blockdev_partition(below, number, run.start / sector, run.size / sector,
                                  error);
}

static char *
s_spread(rmt_work_t *self, size_t index, rmt_error_t *error)
{
    const rmt_layout_t *layout = self->layout;
    uint32_t sector = 0;
    rmt_auto_str name = rmt_text("logical-%zu", index);
    rmt_auto_ptr memory = calloc(layout->piece_count, sizeof(rmt_mapping_member_t));
    if (!memory)
        abort();
    rmt_mapping_member_t *places = memory;
    for (size_t i = 0; i < layout->piece_count; i++) {
        const rmt_layout_piece_t *piece = &layout->pieces[i];
        if (piece->logical != index)
            continue;
        const rmt_layout_physical_t *physical =
            rmt_layout_find_physical(layout, piece->disk, piece->partition, piece->array);
        const rmt_blockdev_t *below = s_below(self, physical);
        const uint64_t extent = layout->groups[physical->group].extent_size;
        places[i] = s_place(self, piece);
        places[i].offset += piece->meta_extents * extent;
        if (rmt_blockdev_sector(below) > sector)
            sector = rmt_blockdev_sector(below);
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
