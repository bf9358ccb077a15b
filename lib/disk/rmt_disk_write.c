#include "disk/rmt_disk.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libfdisk/libfdisk.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/fs.h>

#define GRAIN_SIZE ((uint64_t) 1024 * 1024)
#define GPT_ENTRY_SIZE 128
#define DOS_BOOT_FLAG 1
#define NUMBER_MAX 1024
#define SECTORS_MAX ((uint64_t) 1 << 48)

// One layout on its way to one disk.
typedef struct {
    rmt_records_t *records; // Changed to what is really written
    const rmt_record_t *disk;
    rmt_record_t *last; // Partition with the highest end, no extended one
    const char *path;
    uint64_t bytes; // Of the real disk
    uint64_t sector;
    bool is_gpt;
} plan_t;

static void
s_unref_context(struct fdisk_context **context)
{
    fdisk_unref_context(*context);
}

static void
s_unref_script(struct fdisk_script **script)
{
    fdisk_unref_script(*script);
}

static void
s_unref_partition(struct fdisk_partition **partition)
{
    fdisk_unref_partition(*partition);
}

static bool
s_is_class(const rmt_record_t *record, const char *class)
{
    return strcmp(rmt_record_text(record, "class", ""), class) == 0;
}

static uint64_t
s_end(const rmt_record_t *partition)
{
    return rmt_record_u64(partition, "start", 0) + rmt_record_u64(partition, "size", 0);
}

// A layout comes from outside: its sector size is one that disks have, or 512.
static uint64_t
s_sector(const rmt_record_t *disk)
{
    const uint64_t sector = rmt_record_u64(disk, "logical-sector", 512);
    return sector == 1024 || sector == 2048 || sector == 4096 ? sector : 512;
}

static bool
s_is_extended(const rmt_record_t *partition)
{
    static const char *const types[] = {"05", "0f", "85", "5", "f"};
    const char *type = rmt_record_text(partition, "type", "");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(type, types[i]) == 0)
            return true;
    }
    return false;
}

static rmt_record_t *
s_last(const rmt_records_t *records)
{
    rmt_record_t *last = NULL;
    for (size_t i = 0; i < rmt_records_count(records); i++) {
        rmt_record_t *record = rmt_records_at(records, i);
        if (s_is_class(record, "partition") && !s_is_extended(record) &&
            (!last || s_end(record) > s_end(last)))
            last = record;
    }
    return last;
}

// Sectors that the copy of the table takes at the end of the disk.
static uint64_t
s_tail(const rmt_record_t *disk, uint64_t sector)
{
    if (strcmp(rmt_record_text(disk, "table", ""), "gpt") != 0)
        return 0;
    const uint64_t entries = rmt_record_u64(disk, "entries", GPT_ENTRY_SIZE);
    return 1 + (entries * GPT_ENTRY_SIZE + sector - 1) / sector;
}

static bool
s_may_grow(const rmt_record_t *disk)
{
    return strcmp(rmt_record_text(disk, "grow", "no"), "yes") == 0;
}

uint64_t
rmt_disk_min_bytes(const rmt_records_t *layout)
{
    const rmt_record_t *disk = rmt_records_find(layout, "class", "disk");
    const rmt_record_t *last = s_last(layout);
    if (!disk)
        return 0;
    if (!last)
        return rmt_record_u64(disk, "required-bytes", rmt_record_u64(disk, "bytes", 0));
    const uint64_t sector = s_sector(disk);
    uint64_t end = s_end(last);
    if (s_may_grow(disk) && rmt_record_has(last, "min-size"))
        end = rmt_record_u64(last, "start", 0) + rmt_record_u64(last, "min-size", 0);
    for (size_t i = 0; i < rmt_records_count(layout); i++) {
        const rmt_record_t *record = rmt_records_at(layout, i);
        if (record != last && s_is_class(record, "partition") && !s_is_extended(record) &&
            s_end(record) > end)
            end = s_end(record);
    }
    return (end + s_tail(disk, sector)) * sector;
}

// Nothing is wiped for a layout that cannot be written.
static int
s_check(const plan_t *plan, rmt_error_t *error)
{
    for (size_t i = 0; i < rmt_records_count(plan->records); i++) {
        const rmt_record_t *record = rmt_records_at(plan->records, i);
        const uint64_t number = rmt_record_u64(record, "number", 0);
        const uint64_t start = rmt_record_u64(record, "start", 0);
        const uint64_t size = rmt_record_u64(record, "size", 0);
        const uint64_t least = rmt_record_u64(record, "min-size", 1);
        if (s_is_class(record, "partition") &&
            (number == 0 || number > NUMBER_MAX || start == 0 || start > SECTORS_MAX ||
             size == 0 || size > SECTORS_MAX || least == 0 || least > SECTORS_MAX))
            return rmt_fail(error, RMT_E_USAGE,
                            "partition %" PRIu64 " has no right number, start or size",
                            number);
    }
    if (rmt_record_u64(plan->disk, "entries", GPT_ENTRY_SIZE) > NUMBER_MAX)
        return rmt_fail(error, RMT_E_USAGE, "a table of more than %d entries",
                        NUMBER_MAX);
    return 0;
}

// Ask the real disk for its size and its sectors, which must be those of the table.
static int
s_measure(plan_t *plan, int fd, rmt_error_t *error)
{
    struct stat info;
    if (fstat(fd, &info) == -1)
        return rmt_fail_errno(error, "%s", plan->path);
    if (S_ISREG(info.st_mode)) {
        plan->bytes = (uint64_t) info.st_size;
    } else {
        int sector = 0;
        if (ioctl(fd, BLKGETSIZE64, &plan->bytes) == -1 ||
            ioctl(fd, BLKSSZGET, &sector) == -1)
            return rmt_fail_errno(error, "size of %s", plan->path);
        if ((uint64_t) sector != plan->sector)
            return rmt_fail(error, RMT_E_INCOMPATIBLE,
                            "%s has sectors of %d bytes, the layout has %" PRIu64,
                            plan->path, sector, plan->sector);
    }
    const uint64_t needed = rmt_disk_min_bytes(plan->records);
    if (plan->bytes < needed)
        return rmt_fail(error, RMT_E_NO_SPACE,
                        "%s: %" PRIu64 " bytes are needed, it has %" PRIu64, plan->path,
                        needed, plan->bytes);
    return 0;
}

// Give the last partition all that is left, to a border of 1 MiB unless its own end
// lies behind that already; an extended partition around it ends with it.
static void
s_grow(plan_t *plan)
{
    if (!plan->last || !s_may_grow(plan->disk))
        return;
    const uint64_t start = rmt_record_u64(plan->last, "start", 0);
    const uint64_t old_end = s_end(plan->last);
    const uint64_t usable = plan->bytes / plan->sector - s_tail(plan->disk, plan->sector);
    const uint64_t grain = GRAIN_SIZE / plan->sector;
    uint64_t end = usable / grain * grain;
    if (old_end <= usable && end < old_end)
        end = old_end;
    if (end < start + rmt_record_u64(plan->last, "min-size", 1))
        end = usable;
    // A DOS table counts in 32 bits.
    if (!plan->is_gpt && end > UINT32_MAX)
        end = old_end > UINT32_MAX ? old_end : UINT32_MAX;
    rmt_record_set_u64(plan->last, "size", end - start);
    for (size_t i = 0; i < rmt_records_count(plan->records); i++) {
        rmt_record_t *record = rmt_records_at(plan->records, i);
        const uint64_t first = rmt_record_u64(record, "start", 0);
        if (s_is_class(record, "partition") && s_is_extended(record) && first < start &&
            s_end(record) >= old_end)
            rmt_record_set_u64(record, "size", end - first);
    }
}

static int
s_make_label(const plan_t *plan, struct fdisk_context *context, rmt_error_t *error)
{
    __attribute__((cleanup(s_unref_script))) struct fdisk_script *script =
        fdisk_new_script(context);
    if (!script)
        abort();
    char number[32];
    fdisk_script_set_header(script, "label", plan->is_gpt ? "gpt" : "dos");
    const char *guid = rmt_record_text(plan->disk, "guid", "");
    if (guid[0])
        fdisk_script_set_header(script, "label-id", guid);
    if (plan->is_gpt) {
        const char *entries = rmt_record_text(plan->disk, "entries", "128");
        fdisk_script_set_header(script, "table-length", entries);
        snprintf(number, sizeof number, "%" PRIu64,
                 rmt_record_u64(plan->disk, "first-lba", 0));
        if (strcmp(number, "0") != 0)
            fdisk_script_set_header(script, "first-lba", number);
    }
    const int rc = fdisk_apply_script_headers(context, script);
    if (rc) {
        errno = -rc;
        return rmt_fail_errno(error, "make a table on %s", plan->path);
    }
    // Starts are the image's own, and may lie below the border libfdisk would choose.
    fdisk_set_script(context, NULL);
    if (!plan->is_gpt)
        fdisk_set_first_lba(context, 1);
    return 0;
}

// Set the type by its code or GUID; one that libfdisk has no name for is as good.
static int
s_set_type(const plan_t *plan, struct fdisk_label *label, const char *text,
           struct fdisk_partition *partition)
{
    struct fdisk_parttype *type = plan->is_gpt
                                      ? fdisk_label_get_parttype_from_string(label, text)
                                      : fdisk_label_get_parttype_from_code(
                                            label, (unsigned) strtoul(text, NULL, 16));
    const bool known = type != NULL;
    if (!known)
        type = plan->is_gpt
                   ? fdisk_new_unknown_parttype(0, text)
                   : fdisk_new_unknown_parttype((unsigned) strtoul(text, NULL, 16), NULL);
    const int rc = type ? fdisk_partition_set_type(partition, type) : -ENOMEM;
    if (!known && type)
        fdisk_unref_parttype(type);
    return rc;
}

static int
s_add(const plan_t *plan, struct fdisk_context *context, const rmt_record_t *record,
      rmt_error_t *error)
{
    const uint64_t number = rmt_record_u64(record, "number", 0);
    const uint64_t size = rmt_record_u64(record, "size", 0);
    __attribute__((cleanup(s_unref_partition))) struct fdisk_partition *partition =
        fdisk_new_partition();
    const char *guid = rmt_record_text(record, "guid", "");
    const char *name = rmt_record_text(record, "name", "");
    fdisk_partition_set_partno(partition, number - 1);
    fdisk_partition_set_start(partition, rmt_record_u64(record, "start", 0));
    fdisk_partition_set_size(partition, size);
    fdisk_partition_size_explicit(partition, 1);
    if (plan->is_gpt && guid[0])
        fdisk_partition_set_uuid(partition, guid);
    if (plan->is_gpt && name[0])
        fdisk_partition_set_name(partition, name);
    int rc = s_set_type(plan, fdisk_get_label(context, NULL),
                        rmt_record_text(record, "type", ""), partition);
    size_t index = 0;
    if (rc == 0)
        rc = fdisk_add_partition(context, partition, &index);
    if (rc == 0 && index != number - 1)
        rc = -EINVAL;
    const uint64_t attrs = strtoull(rmt_record_text(record, "attrs", "0"), NULL, 16);
    if (rc == 0 && plan->is_gpt)
        rc = fdisk_gpt_set_partition_attrs(context, index, attrs);
    if (rc == 0 && !plan->is_gpt &&
        strcmp(rmt_record_text(record, "boot", ""), "yes") == 0)
        rc = fdisk_toggle_partition_flag(context, index, DOS_BOOT_FLAG);
    if (rc == 0 && !s_is_extended(record))
        fdisk_wipe_partition(context, index, 1);
    if (rc == 0)
        return 0;
    errno = -rc;
    return rmt_fail_errno(error, "partition %" PRIu64 " of %s", number, plan->path);
}

// Numbers ascend, so an extended partition is there before its logical ones.
static int
s_add_all(const plan_t *plan, struct fdisk_context *context, rmt_error_t *error)
{
    uint64_t done = 0;
    for (;;) {
        const rmt_record_t *next = NULL;
        for (size_t i = 0; i < rmt_records_count(plan->records); i++) {
            const rmt_record_t *record = rmt_records_at(plan->records, i);
            const uint64_t number = rmt_record_u64(record, "number", 0);
            if (s_is_class(record, "partition") && number > done &&
                (!next || number < rmt_record_u64(next, "number", 0)))
                next = record;
        }
        if (!next)
            return 0;
        if (s_add(plan, context, next, error) == -1)
            return -1;
        done = rmt_record_u64(next, "number", 0);
    }
}

static int
s_write(const plan_t *plan, rmt_error_t *error)
{
    __attribute__((cleanup(s_unref_context))) struct fdisk_context *context =
        fdisk_new_context();
    if (!context)
        abort();
    fdisk_disable_dialogs(context, 1);
    // Fixed also for files, and small so that any start of a partition is legal.
    fdisk_save_user_sector_size(context, (unsigned) plan->sector,
                                (unsigned) plan->sector);
    fdisk_save_user_grain(context, plan->sector);
    int rc = fdisk_assign_device(context, plan->path, 0);
    if (rc) {
        errno = -rc;
        return rmt_fail_errno(error, "open %s", plan->path);
    }
    if (s_make_label(plan, context, error) == -1 || s_add_all(plan, context, error) == -1)
        return -1;
    rc = fdisk_write_disklabel(context);
    if (rc == 0)
        rc = fdisk_deassign_device(context, 0);
    if (rc) {
        errno = -rc;
        return rmt_fail_errno(error, "write the table of %s", plan->path);
    }
    return 0;
}

// The table counts as written when reading it gives the layout.
static int
s_read_back(const plan_t *plan, rmt_error_t *error)
{
    static const char *const fields[] = {"start", "size", "type",
                                         "guid",  "name", "attrs"};
    rmt_auto(rmt_records) found =
        rmt_disk_read(plan->path, rmt_record_text(plan->disk, "role", ""), error);
    if (!found)
        return -1;
    for (size_t i = 0; i < rmt_records_count(plan->records); i++) {
        const rmt_record_t *wanted = rmt_records_at(plan->records, i);
        if (!s_is_class(wanted, "partition"))
            continue;
        const char *number = rmt_record_text(wanted, "number", "");
        const rmt_record_t *had = rmt_records_find(found, "number", number);
        if (!had)
            return rmt_fail(error, RMT_E_IO, "partition %s of %s is not there", number,
                            plan->path);
        for (size_t j = 0; j < sizeof fields / sizeof *fields; j++) {
            const char *text = rmt_record_text(wanted, fields[j], "");
            const char *read = rmt_record_text(had, fields[j], "");
            if (text[0] && strcasecmp(text, read) != 0)
                return rmt_fail(error, RMT_E_IO,
                                "partition %s of %s has %s '%s' in place of '%s'", number,
                                plan->path, fields[j], read, text);
        }
    }
    return 0;
}

rmt_records_t *
rmt_disk_write(const char *path, const rmt_records_t *layout, rmt_error_t *error)
{
    assert(path);
    assert(layout);
    rmt_auto(rmt_records) records = rmt_records_dup(layout);
    plan_t plan = {.records = records, .path = path};
    rmt_record_t *disk = rmt_records_find(records, "class", "disk");
    const char *table = disk ? rmt_record_text(disk, "table", "") : "";
    if (strcmp(table, "gpt") != 0 && strcmp(table, "dos") != 0 &&
        strcmp(table, "none") != 0) {
        rmt_fail(error, RMT_E_USAGE,
                 "layout for %s has no table of kind gpt, dos or none", path);
        return NULL;
    }
    plan.disk = disk;
    plan.last = s_last(records);
    plan.sector = s_sector(disk);
    plan.is_gpt = strcmp(table, "gpt") == 0;
    rmt_auto_fd fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd == -1) {
        rmt_fail_errno(error, "open %s", path);
        return NULL;
    }
    if (s_check(&plan, error) == -1 || s_measure(&plan, fd, error) == -1 ||
        rmt_disk_clear(path, error) == -1)
        return NULL;
    s_grow(&plan);
    if (strcmp(table, "none") != 0 &&
        (s_write(&plan, error) == -1 || s_read_back(&plan, error) == -1))
        return NULL;
    rmt_record_set_u64(disk, "bytes", plan.bytes);
    return rmt_take(&records);
}
