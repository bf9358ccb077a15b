#include "agent/source/source_reading.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_fs.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

static void
s_find_places(const rmt_source_disk_t *self, const rmt_arrays_t *arrays,
              rmt_array_place_t places[RMT_LAYOUT_MEMBERS_MAX])
{
    const rmt_layout_t *layout = self->layout;
    for (size_t i = 0; i < layout->member_count; i++) {
        const rmt_layout_member_t *member = &layout->members[i];
        const uint64_t sector = layout->disks[member->disk].sector;
        const rmt_layout_partition_t *partition =
            rmt_layout_find_partition(layout, member->disk, member->partition);
        places[i] = (rmt_array_place_t){
            .fd = rmt_arrays_is_old(arrays, i)
                      ? -1
                      : rmt_blockdev_fd(self->devices[member->disk].device),
            .offset = partition->start * sector,
            .bytes = partition->size * sector};
    }
}

// The disk of its first member.
static size_t
s_first_disk(const rmt_layout_t *layout, size_t index)
{
    size_t i = 0;
    while (layout->members[i].array != index)
        i++;
    return layout->members[i].disk;
}

int
rmt_source_take_member(rmt_source_disk_t *self, const rmt_source_place_t *place,
                       const char *device, rmt_arrays_t *arrays, bool *is_taken_out,
                       rmt_error_t *error)
{
    rmt_error_t why = {0};
    const rmt_layout_partition_t *partition =
        rmt_layout_find_partition(self->layout, place->disk, place->number);
    rmt_auto_fd fd = open(device, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open %s", device);
    *is_taken_out =
        rmt_arrays_add(arrays, place->disk, place->number, fd,
                       partition->size * self->layout->disks[place->disk].sector,
                       &why) == 0;
    if (*is_taken_out || why.code == RMT_E_NOT_FOUND)
        return 0;
    *error = why;
    return -1;
}

int
rmt_source_refuse_unknown(const rmt_source_disk_t *self, size_t volume,
                          rmt_error_t *error)
{
    const rmt_layout_volume_t *found = &self->layout->volumes[volume];
    if (!rmt_record_has(found->format, "content"))
        return 0;
    return rmt_fail(error, RMT_E_UNSUPPORTED,
                    "it holds neither a file system nor swap, which is not supported; "
                    "see what it is with: blkid -p");
}

static int
s_read_shown(rmt_source_disk_t *self, const rmt_source_place_t *place, const char *shown,
             rmt_groups_t *groups, rmt_error_t *error)
{
    size_t volume = 0;
    bool is_physical = false;
    rmt_auto_str device = rmt_text("%s", shown);
    if (rmt_source_take_physical(groups, place, device, &is_physical, error) == -1)
        return -1;
    if (is_physical)
        return 0;
    return rmt_source_probe(self, place, &device, &volume, error) == -1 ||
                   rmt_source_refuse_unknown(self, volume, error) == -1 ||
                   rmt_source_mount(self, volume, device, error) == -1
               ? -1
               : 0;
}

static int
s_read_array(rmt_source_disk_t *self, size_t index, const rmt_array_place_t *places,
             rmt_groups_t *groups, rmt_error_t *error)
{
    rmt_auto_str name = rmt_text("array-%zu", index);
    rmt_auto(rmt_mapping) mapping = rmt_array_map(self->layout, index, places);
    const rmt_source_place_t place = {.disk = s_first_disk(self->layout, index),
                                      .array = &self->layout->arrays[index]};
    const uint32_t sector = (uint32_t) self->layout->disks[place.disk].sector;
    const char *shown = rmt_source_show(self, name, &mapping, sector, error);
    if (!shown)
        return -1;
    if (s_read_shown(self, &place, shown, groups, error) == -1) {
        rmt_rename(error, shown, "it");
        return -1;
    }
    return 0;
}

int
rmt_source_read_arrays(rmt_source_disk_t *self, rmt_arrays_t *arrays,
                       rmt_groups_t *groups, rmt_error_t *error)
{
    rmt_array_place_t places[RMT_LAYOUT_MEMBERS_MAX];
    if (rmt_arrays_finish(arrays, self->layout, self->dropped, error) == -1 ||
        rmt_layout_check(self->layout, error) == -1)
        return -1;
    s_find_places(self, arrays, places);
    for (size_t i = 0; i < self->layout->array_count; i++)
        if (s_read_array(self, i, places, groups, error) == -1)
            return rmt_wrap(error, "array %s",
                            self->layout->arrays[i].name ? self->layout->arrays[i].name
                                                         : self->layout->arrays[i].uuid);
    return 0;
}
