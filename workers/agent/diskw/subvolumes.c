#include "agent/diskw/work.h"
#include "base/rmt_auto.h"
#include "disk/rmt_btrfs.h"
#include "agent/disk_tools/subvolume.h"

#include <string.h>

static const char *
s_path(const rmt_work_volume_t *volume)
{
    return volume->ordered->subvolume;
}

static bool
s_is_same_device(const rmt_work_volume_t *one, const rmt_work_volume_t *two)
{
    return strcmp(one->device, two->device) == 0;
}

// The subvolume that holds another one is that with the longest path above it.
static bool
s_is_parent(const rmt_work_t *self, const rmt_work_volume_t *volume,
            const rmt_work_volume_t *child)
{
    if (!s_path(child) || !rmt_subvolume_below(s_path(child), s_path(volume)))
        return false;
    for (size_t i = 0; i < self->volume_count; i++) {
        const rmt_work_volume_t *other = &self->volumes[i];
        if (s_is_same_device(other, child) && s_path(other) &&
            rmt_subvolume_below(s_path(child), s_path(other)) &&
            rmt_subvolume_below(s_path(other), s_path(volume)))
            return false;
    }
    return true;
}

int
rmt_work_make_subvolumes(rmt_work_t *self, const rmt_work_volume_t *volume,
                         rmt_error_t *error)
{
    for (size_t i = 0; s_path(volume) && i < self->volume_count; i++) {
        const rmt_work_volume_t *child = &self->volumes[i];
        if (!s_is_same_device(child, volume) || !s_is_parent(self, volume, child))
            continue;
        if (rmt_btrfs_make(volume->folder,
                           rmt_subvolume_below(s_path(child), s_path(volume)),
                           child->ordered->is_default, error) == -1)
            return rmt_wrap(error, "subvolume '%s'", s_path(child));
    }
    return 0;
}

int
rmt_work_close_subvolume(const rmt_work_volume_t *volume, rmt_error_t *error)
{
    if (!volume->mounted || !volume->written || volume->verified ||
        !volume->ordered->is_read_only)
        return 0;
    return rmt_btrfs_set_read_only(volume->folder, error);
}

int
rmt_work_check_subvolume(const rmt_work_volume_t *volume, rmt_error_t *error)
{
    const struct {
        const char *name;
        bool is_set;
    } flags[] = {{"default", volume->ordered->is_default},
                 {"read-only", volume->ordered->is_read_only}};
    if (!s_path(volume))
        return 0;
    rmt_auto(rmt_records) found = rmt_btrfs_list(volume->folder, error);
    if (!found)
        return -1;
    const rmt_record_t *own = rmt_records_find(found, "subvolume", s_path(volume));
    if (!own)
        return rmt_fail(error, RMT_E_CORRUPT, "subvolume '%s' is missing",
                        s_path(volume));
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (rmt_record_flag(own, flags[i].name) != flags[i].is_set)
            return rmt_fail(error, RMT_E_CORRUPT, "subvolume '%s' is%s %s",
                            s_path(volume), flags[i].is_set ? " not" : "", flags[i].name);
    return 0;
}
