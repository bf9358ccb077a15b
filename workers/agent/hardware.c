#include "agent/hardware.h"
#include "base/rmt_auto.h"
#include "facts/rmt_facts.h"
#include "machine/rmt_inventory.h"
#include "base/rmt_io.h"
#include "disk/rmt_mounted.h"
#include "disk/rmt_nvram.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define FACTS_SIZE_MAX ((size_t) 4 * 1024 * 1024)

int
rmt_hardware_disk_bytes(const char *path, uint64_t *bytes_out, rmt_error_t *error)
{
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd == -1 || fstat(fd, &status) == -1)
        return rmt_fail_errno(error, "open disk %s", path);
    if (S_ISREG(status.st_mode)) {
        *bytes_out = (uint64_t) status.st_size;
        return 0;
    }
    uint64_t bytes = 0;
    if (!S_ISBLK(status.st_mode))
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "disk %s is neither a file nor a device", path);
    if (ioctl(fd, BLKGETSIZE64, &bytes) == -1)
        return rmt_fail_errno(error, "size of disk %s", path);
    *bytes_out = bytes;
    return 0;
}

static rmt_records_t *
s_read(const rmt_config_t *config, rmt_error_t *error)
{
    const char *path = rmt_config_text(config, "hardware");
    if (!*path)
        return rmt_inventory_read(error);
    rmt_auto_ptr text = NULL;
    size_t size = 0;
    if (rmt_io_load(path, FACTS_SIZE_MAX, &text, &size, error) == -1)
        return NULL;
    rmt_records_t *records = rmt_facts_parse(text, error);
    if (!records)
        rmt_wrap(error, "hardware %s", path);
    return records;
}

const char *
rmt_hardware_disk(const rmt_config_t *config, size_t place)
{
    const char *first = rmt_config_text(config, "disk");
    const char *const *further = rmt_config_list(config, "further-disks");
    if (place == 0)
        return *first ? first : NULL;
    for (size_t i = 1; i < place && *further; i++)
        further++;
    return *further;
}

void
rmt_hardware_disk_role(size_t place, char role_out[RMT_RECORD_NAME_MAX + 1])
{
    if (place == 0)
        strcpy(role_out, RMT_HARDWARE_ROLE);
    else
        snprintf(role_out, RMT_RECORD_NAME_MAX + 1, "disk%zu", place + 1);
}

// The disk that is imaged, by its node: the one that is named, or that / lies on. What
// lies on none, or on a layer, is told when it is imaged.
static char *
s_node(const rmt_config_t *config, size_t place)
{
    char *disk = NULL;
    rmt_error_t later = {0};
    const char *path = rmt_hardware_disk(config, place);
    if (path)
        return realpath(path, NULL);
    return strcmp(rmt_config_text(config, "root"), "/") == 0 &&
                   rmt_mounted_disk("/", &disk, &later) == 0
               ? disk
               : NULL;
}

static const rmt_record_t *
s_find_disk(const rmt_records_t *all, const rmt_config_t *config, size_t place)
{
    const rmt_record_t *found = NULL;
    rmt_auto_str node = s_node(config, place);
    const char *name = node && strncmp(node, "/dev/", 5) == 0 ? node + 5 : "";
    for (size_t i = 0, at = 0; i < rmt_records_count(all); i++) {
        const rmt_record_t *record = rmt_records_at(all, i);
        if (!rmt_record_is(record, "class", "disk"))
            continue;
        if (strcmp(rmt_record_text(record, "name", ""), name) == 0)
            return record;
        found = at++ == place ? record : found;
    }
    return found;
}

static rmt_record_t *
s_disk(const rmt_records_t *all, const rmt_config_t *config, size_t place)
{
    const rmt_record_t *known = s_find_disk(all, config, place);
    rmt_record_t *disk = rmt_record_new();
    rmt_record_set(disk, "class", "disk");
    if (known)
        rmt_record_merge(disk, known);
    if (!rmt_record_has(disk, "bus"))
        rmt_record_set(disk, "bus", "virtio");
    if (!rmt_record_has(disk, "media"))
        rmt_record_set(disk, "media", "virtual");
    if (!rmt_record_has(disk, "logical-sector"))
        rmt_record_set(disk, "logical-sector", "512");
    return disk;
}

// A tree's disk has the size its layout gives it, which is known after the capture.
static int
s_describe_disk(const rmt_config_t *config, const char *role, size_t place,
                rmt_record_t *disk, rmt_error_t *error)
{
    const char *path = rmt_hardware_disk(config, place);
    uint64_t bytes = 0;
    if (path) {
        if (rmt_hardware_disk_bytes(path, &bytes, error) == -1)
            return -1;
        rmt_record_set_u64(disk, "bytes", bytes);
    }
    if (strcmp(role, "source") == 0) {
        char own[RMT_RECORD_NAME_MAX + 1];
        rmt_hardware_disk_role(place, own);
        rmt_record_set(disk, "role", own);
        if (!rmt_record_has(disk, "name"))
            rmt_record_set(disk, "name", own);
        return 0;
    }
    rmt_record_remove(disk, "role");
    rmt_record_set(disk, "name", path ? path : "");
    return 0;
}

rmt_records_t *
rmt_hardware_new(const rmt_config_t *config, const char *role, rmt_error_t *error)
{
    // What a target's firmware keeps is judged before its disk is written.
    if (strcmp(role, "target") == 0)
        rmt_nvram_show();
    rmt_auto(rmt_records) all = s_read(config, error);
    if (!all)
        return NULL;
    if (!*rmt_config_text(config, "disk") && !*rmt_config_text(config, "root")) {
        if (!rmt_hardware_disk(config, 1))
            return rmt_take(&all);
        rmt_fail(
            error, RMT_E_CONFIG,
            "the setting further-disks has a disk, and disk has none; name the first "
            "one there");
        return NULL;
    }
    rmt_auto(rmt_records) records = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(all); i++) {
        rmt_auto(rmt_record) record = rmt_record_dup(rmt_records_at(all, i));
        if (strcmp(rmt_record_text(record, "class", ""), "disk") != 0)
            rmt_records_append(records, &record);
    }
    size_t place = 0;
    do {
        rmt_auto(rmt_record) disk = s_disk(all, config, place);
        if (s_describe_disk(config, role, place, disk, error) == -1)
            return NULL;
        rmt_records_append(records, &disk);
    } while (rmt_hardware_disk(config, ++place));
    return rmt_take(&records);
}
