#include "agent/install/twins.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "disk/rmt_disk_contents.h"
#include "disk/rmt_disk.h"
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

void
rmt_twins_read(const rmt_config_t *config, size_t most, rmt_records_t *hardware)
{
    assert(config && hardware);
    // The disks of a laboratory's machine are files, or nowhere.
    const bool is_told = *rmt_config_text(config, "hardware");
    const size_t count = rmt_records_count(hardware);
    for (size_t i = 0; i < count; i++) {
        const rmt_record_t *disk = rmt_records_at(hardware, i);
        const char *name = rmt_record_text(disk, "name", "");
        if (!rmt_record_is(disk, "class", "disk") || (is_told && *name != '/'))
            continue;
        rmt_error_t error = {0};
        rmt_auto(rmt_records) found = rmt_records_new();
        rmt_auto_str own = rmt_text("%s", name);
        rmt_auto_str path = rmt_text("%s%s", *name == '/' ? "" : "/dev/", name);
        const uint32_t sector = (uint32_t) rmt_record_u64(disk, "logical-sector", 512);
        if (rmt_disk_contents(path, own, sector, found, &error) == -1)
            rmt_log(RMT_WARN, "disk.unread", "disk=%s error=\"%s\"", own, error.text);
        for (size_t k = 0; k < rmt_records_count(found) && most; k++, most--) {
            rmt_record_t *copy = rmt_record_dup(rmt_records_at(found, k));
            rmt_records_append(hardware, &copy);
        }
    }
}

int
rmt_twins_check(const rmt_order_t *order, const rmt_records_t *hardware,
                const rmt_records_t *disks, rmt_error_t *error)
{
    assert(order && hardware && disks);
    rmt_auto_str reason = rmt_match_twins(order->layout, hardware, disks);
    return reason ? rmt_fail(error, RMT_E_INCOMPATIBLE, "%s", reason) : 0;
}
