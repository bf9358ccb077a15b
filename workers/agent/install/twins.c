#include "agent/install/twins.h"
#include "base/rmt_auto.h"
#include "disk/rmt_disk.h"
#include "base/rmt_io.h"
#include "match/rmt_match.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#define NO_DOS_ID "00000000-" // Of tables that nobody gave an id

static bool
s_is(const rmt_record_t *record, const char *class)
{
    return strcmp(rmt_record_text(record, "class", ""), class) == 0;
}

static bool
s_has_guid(const rmt_records_t *layout, const char *guid)
{
    if (!*guid || strncmp(guid, NO_DOS_ID, sizeof NO_DOS_ID - 1) == 0)
        return false;
    for (size_t i = 0; i < rmt_records_count(layout); i++) {
        const rmt_record_t *record = rmt_records_at(layout, i);
        if (s_is(record, "partition") &&
            strcasecmp(rmt_record_text(record, "guid", ""), guid) == 0)
            return true;
    }
    return false;
}

static bool
s_is_twin(const rmt_records_t *layout, const char *path)
{
    rmt_error_t unread = {0};
    rmt_auto(rmt_records) table = rmt_disk_read(path, "other", &unread);
    for (size_t i = 0; table && i < rmt_records_count(table); i++) {
        const rmt_record_t *record = rmt_records_at(table, i);
        if (s_is(record, "partition") &&
            s_has_guid(layout, rmt_record_text(record, "guid", "")))
            return true;
    }
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
        if (!s_is(disk, "disk") || rmt_records_find(disks, "path", path) ||
            !s_is_twin(order->layout, path))
            continue;
        char *longer = rmt_text("%s%s%s (%s)", names ? names : "", names ? ", " : "",
                                rmt_match_disk_identity(disk), path);
        free(names);
        names = longer;
    }
    rmt_auto_str all = names;
    return all ? rmt_text(
                     "partitions with GUIDs of the image are also on %s, which may be "
                     "started or mounted in place of the ordered disk",
                     all)
               : NULL;
}
