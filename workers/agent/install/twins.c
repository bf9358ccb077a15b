#include "agent/install/twins.h"
#include "base/rmt_auto.h"
#include "disk/rmt_disk.h"
#include "base/rmt_io.h"
#include "match/rmt_match.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#define NO_DOS_ID "00000000-" // Of tables without an id

static bool
s_has_guid(const rmt_layout_t *layout, const char *guid)
{
    if (!*guid || strncmp(guid, NO_DOS_ID, sizeof NO_DOS_ID - 1) == 0)
        return false;
    for (size_t i = 0; i < layout->partition_count; i++)
        if (strcasecmp(layout->partitions[i].guid, guid) == 0)
            return true;
    return false;
}

static bool
s_is_twin(const rmt_layout_t *layout, const char *path)
{
    rmt_error_t unread = {0};
    rmt_auto(rmt_layout) table = rmt_disk_read(path, "other", &unread);
    for (size_t i = 0; table && i < table->partition_count; i++)
        if (s_has_guid(layout, table->partitions[i].guid))
            return true;
    return false;
}

char *
rmt_twins_warning(const rmt_order_t *order, const rmt_records_t *hardware,
                  const rmt_records_t *disks)
{
    assert(order && hardware && disks);
    char *names = NULL;
    for (size_t i = 0; i < rmt_records_count(hardware); i++) {
        const rmt_record_t *disk = rmt_records_at(hardware, i);
        rmt_auto_str path = rmt_text("/dev/%s", rmt_record_text(disk, "name", ""));
        if (!rmt_record_is(disk, "class", "disk") ||
            rmt_records_find(disks, "path", path) || !s_is_twin(order->layout, path))
            continue;
        char *longer = rmt_text("%s%s%s (%s)", names ? names : "", names ? ", " : "",
                                rmt_match_disk_identity(disk), path);
        free(names);
        names = longer;
    }
    rmt_auto_str all = names;
    return all ? rmt_text("other disks have GUIDs of the image's partitions too: %s; the "
                          "machine may start or mount these instead of the ordered disk",
                          all)
               : NULL;
}
