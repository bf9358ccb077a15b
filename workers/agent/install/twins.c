#include "agent/install/twins.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "disk/rmt_disk_contents.h"
#include "match/rmt_match.h"

#include <assert.h>

char *
rmt_twins_warning(const rmt_order_t *order, const rmt_records_t *hardware,
                  const rmt_records_t *disks)
{
    assert(order && hardware && disks);
    rmt_auto_str names = rmt_match_copies(order->layout, hardware, disks);
    return names ? rmt_text("other disks have GUIDs of the image's partitions too: %s; "
                            "the machine may start or mount these instead of the "
                            "ordered disk",
                            names)
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
