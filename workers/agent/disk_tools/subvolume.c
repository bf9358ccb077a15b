#include "agent/disk_tools/subvolume.h"

#include <assert.h>
#include <string.h>

const char *
rmt_subvolume_below(const char *path, const char *above)
{
    assert(path && above);
    const size_t size = strlen(above);
    if (size == 0)
        return *path ? path : NULL;
    return strncmp(path, above, size) == 0 && path[size] == '/' ? path + size + 1 : NULL;
}

bool
rmt_subvolume_is_at(const rmt_layout_t *layout, const rmt_layout_volume_t *volume,
                    const char *path)
{
    for (size_t i = 0; volume->subvolume && i < layout->volume_count; i++) {
        const rmt_layout_volume_t *other = &layout->volumes[i];
        if (!other->subvolume || !rmt_layout_is_beside(other, volume))
            continue;
        const char *below = rmt_subvolume_below(other->subvolume, volume->subvolume);
        if (below && strcmp(below, path) == 0)
            return true;
    }
    return false;
}
