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

static bool
s_is_same(const rmt_record_t *one, const rmt_record_t *two, const char *field)
{
    return strcmp(rmt_record_text(one, field, ""), rmt_record_text(two, field, "")) == 0;
}

bool
rmt_subvolume_is_at(const rmt_records_t *layout, const rmt_record_t *volume,
                    const char *path)
{
    const char *above = rmt_record_text(volume, "subvolume", NULL);
    for (size_t i = 0; above && i < rmt_records_count(layout); i++) {
        const rmt_record_t *other = rmt_records_at(layout, i);
        const char *own = rmt_record_text(other, "subvolume", NULL);
        if (strcmp(rmt_record_text(other, "class", ""), "volume") != 0 || !own ||
            !s_is_same(other, volume, "disk") || !s_is_same(other, volume, "partition"))
            continue;
        const char *below = rmt_subvolume_below(own, above);
        if (below && strcmp(below, path) == 0)
            return true;
    }
    return false;
}
