#include "agent/diskw/work.h"
#include "base/rmt_auto.h"
#include "disk/rmt_btrfs.h"
#include "agent/disk_tools/subvolume.h"

#include <string.h>

static const char *
s_path(const rmt_work_volume_t *volume)
{
    return rmt_record_text(volume->record, "subvolume", NULL);
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
        const bool is_default = rmt_record_has(child->record, "default");
        if (rmt_btrfs_make(volume->folder,
                           rmt_subvolume_below(s_path(child), s_path(volume)), is_default,
                           error) == -1)
            return rmt_wrap(error, "subvolume '%s'", s_path(child));
    }
    return 0;
}

int
rmt_work_close_subvolume(const rmt_work_volume_t *volume, rmt_error_t *error)
{
    if (!volume->mounted || !volume->written || volume->verified ||
        !rmt_record_has(volume->record, "read-only"))
        return 0;
    return rmt_btrfs_set_read_only(volume->folder, error);
}

int
rmt_work_check_subvolume(const rmt_work_volume_t *volume, rmt_error_t *error)
{
    static const char *const flags[] = {"default", "read-only"};
    if (!s_path(volume))
        return 0;
    rmt_auto(rmt_records) found = rmt_btrfs_list(volume->folder, error);
    if (!found)
        return -1;
    const rmt_record_t *own = rmt_records_find(found, "subvolume", s_path(volume));
    if (!own)
        return rmt_fail(error, RMT_E_CORRUPT, "subvolume '%s' is not there",
                        s_path(volume));
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (rmt_record_has(own, flags[i]) != rmt_record_has(volume->record, flags[i]))
            return rmt_fail(error, RMT_E_CORRUPT, "subvolume '%s' is%s %s",
                            s_path(volume), rmt_record_has(own, flags[i]) ? "" : " not",
                            flags[i]);
    return 0;
}
