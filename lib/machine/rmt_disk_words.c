// What people are told of a disk, by its record or by a path on it.
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_sysfs.h"
#include "machine/rmt_inventory.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

char *
rmt_inventory_disk_words(const rmt_record_t *disk)
{
    static const struct {
        const char *field, *before;
    } rows[] = {{"path", ""}, {"serial", "serial "}, {"wwn", "wwn "}};
    char *words = rmt_text("%s", "");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *value = rmt_record_text(disk, rows[i].field, "");
        rmt_auto_str before = words;
        words = *value ? rmt_text("%s%s%s%s", before, *before ? ", " : "", rows[i].before,
                                  value)
                       : rmt_text("%s", before);
    }
    rmt_auto_str inside = words;
    return rmt_text("disk %s%s%s%s", rmt_record_text(disk, "name", "?"),
                    *inside ? " (" : "", inside, *inside ? ")" : "");
}

// Name of the whole disk of a device, or "": a partition stands in the folder of its
// disk.
static char *
s_disk_name(dev_t device)
{
    char path[PATH_MAX];
    rmt_auto_str link = rmt_text("/sys/dev/block/%u:%u", major(device), minor(device));
    if (!realpath(link, path))
        return rmt_text("%s", "");
    if (rmt_sysfs_exists("%s/partition", path))
        *strrchr(path, '/') = '\0';
    return rmt_text("%s", strrchr(path, '/') + 1);
}

// Caller owns the text (free).
static char *
s_disk_under(const char *path)
{
    struct stat status;
    rmt_error_t ignored = {0};
    rmt_auto_str name =
        stat(path, &status) == 0 ? s_disk_name(status.st_dev) : rmt_text("%s", "");
    if (!*name)
        return rmt_text("the disk of %s", path);
    rmt_auto(rmt_records) hardware = rmt_inventory_read(&ignored);
    for (size_t i = 0; hardware && i < rmt_records_count(hardware); i++) {
        const rmt_record_t *disk = rmt_records_at(hardware, i);
        if (rmt_record_is(disk, "class", "disk") && rmt_record_is(disk, "name", name))
            return rmt_inventory_disk_words(disk);
    }
    return rmt_text("disk %s", name);
}

int
rmt_inventory_name_disk(const char *path, rmt_error_t *error)
{
    if (error->code != RMT_E_DISK)
        return -1;
    rmt_auto_str disk = s_disk_under(path);
    return rmt_wrap(error, "%s fails", disk);
}
