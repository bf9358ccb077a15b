#include "agent/diskw/work.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_array.h"

#include <string.h>

static int
s_find_places(rmt_work_t *self, rmt_array_place_t places[RMT_LAYOUT_MEMBERS_MAX],
              rmt_error_t *error)
{
    const rmt_layout_t *layout = self->layout;
    for (size_t i = 0; i < layout->member_count; i++) {
        const rmt_layout_member_t *member = &layout->members[i];
        const rmt_work_disk_t *disk = rmt_work_disk_of(self, member->disk);
        if (!disk)
            return rmt_fail(
                error, RMT_E_USAGE,
                "the order names no disk for role '%s', which has a member of "
                "array %s",
                layout->disks[member->disk].role, layout->arrays[member->array].uuid);
        const rmt_layout_partition_t *written =
            rmt_layout_find_partition(disk->layout, 0, member->partition);
        places[i] = (rmt_array_place_t){.fd = rmt_blockdev_fd(disk->device),
                                        .offset = written->start * disk->ordered->sector,
                                        .bytes = written->size * disk->ordered->sector};
    }
    return 0;
}

static uint32_t
s_sector(const rmt_layout_t *layout, size_t index)
{
    uint64_t sector = 0;
    for (size_t i = 0; i < layout->member_count; i++)
        if (layout->members[i].array == index &&
            layout->disks[layout->members[i].disk].sector > sector)
            sector = layout->disks[layout->members[i].disk].sector;
    return (uint32_t) sector;
}

int
rmt_work_show(rmt_work_t *self, rmt_work_shown_t *shown, const char *name,
              rmt_mapping_t **mapping_p, uint32_t sector, rmt_error_t *error)
{
    shown->mapping = rmt_take(mapping_p);
    shown->blocks = rmt_mapping_blocks(shown->mapping);
    shown->disk = rmt_scratch_show(self->scratch, name, &shown->blocks, sector, 0, error);
    return shown->disk ? 0 : -1;
}

static int
s_make_array(rmt_work_t *self, size_t index, const rmt_array_place_t *places,
             rmt_error_t *error)
{
    rmt_auto_str name = rmt_text("array-%zu", index);
    if (rmt_array_bytes(self->layout, index, places) == 0)
        return rmt_fail(error, RMT_E_NO_SPACE, "a member has no space for it");
    if (rmt_array_write(self->layout, index, places, error) == -1)
        return -1;
    rmt_auto(rmt_mapping) mapping = rmt_array_map(self->layout, index, places);
    return rmt_work_show(self, &self->arrays[index], name, &mapping,
                         s_sector(self->layout, index), error);
}

int
rmt_work_make_arrays(rmt_work_t *self, rmt_error_t *error)
{
    rmt_array_place_t places[RMT_LAYOUT_MEMBERS_MAX];
    if (s_find_places(self, places, error) == -1)
        return -1;
    for (size_t i = 0; i < self->layout->array_count; i++)
        if (s_make_array(self, i, places, error) == -1)
            return rmt_wrap(error, "array %s", self->layout->arrays[i].uuid);
    return 0;
}

int
rmt_work_flush_shown(rmt_work_t *self, rmt_error_t *error)
{
    const rmt_layout_t *layout = self->layout;
    // What lies in or on another one hands down to that.
    if (rmt_work_flush_crypts(self, true, error) == -1)
        return -1;
    for (size_t i = 0; i < layout->logical_count; i++)
        if (self->logicals[i].disk &&
            rmt_fuse_disk_flush(self->logicals[i].disk, error) == -1)
            return rmt_wrap(error, "logical volume %s", layout->logicals[i].name);
    if (rmt_work_flush_crypts(self, false, error) == -1)
        return -1;
    for (size_t i = 0; i < layout->array_count; i++)
        if (rmt_fuse_disk_flush(self->arrays[i].disk, error) == -1)
            return rmt_wrap(error, "array %s", layout->arrays[i].uuid);
    return 0;
}

static void
s_close(rmt_work_shown_t *shown, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        rmt_fuse_disk_destroy(&shown[i].disk);
        rmt_mapping_destroy(&shown[i].mapping);
    }
}

void
rmt_work_close_shown(rmt_work_t *self)
{
    rmt_work_close_crypts(self, true);
    s_close(self->logicals, RMT_LAYOUT_LOGICALS_MAX);
    rmt_work_close_crypts(self, false);
    s_close(self->arrays, RMT_LAYOUT_ARRAYS_MAX);
}
