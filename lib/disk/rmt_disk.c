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
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/fs.h>

#define MBR_SIZE 512
#define MBR_TABLE 446
#define MBR_TYPE_PROTECTIVE 0xee
#define TYPE_ESP "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
#define MBR_TYPE_ESP "ef"

static void
s_unref_context(struct fdisk_context **context)
{
    fdisk_unref_context(*context);
}

static void
s_unref_table(struct fdisk_table **table)
{
    fdisk_unref_table(*table);
}

static void
s_unref_iter(struct fdisk_iter **iter)
{
    fdisk_free_iter(*iter);
}

// A file shows no sector size, so tables are looked for with each. What looks like a
// DOS table in the first sector may only guard a GPT of larger sectors.
static bool
s_is_convincing(struct fdisk_context *context)
{
    if (fdisk_is_label(context, GPT))
        return true;
    struct fdisk_partition *first = NULL;
    if (!fdisk_is_label(context, DOS) || fdisk_get_sector_size(context) != 512)
        return false;
    if (fdisk_get_partition(context, 0, &first) != 0)
        return true;
    const struct fdisk_parttype *type = fdisk_partition_get_type(first);
    const bool guard = type && fdisk_parttype_get_code(type) == MBR_TYPE_PROTECTIVE;
    fdisk_unref_partition(first);
    return !guard;
}

static struct fdisk_context *
s_open(const char *path, rmt_error_t *error)
{
    static const unsigned sectors[] = {512, 4096, 512};
    const size_t last = sizeof sectors / sizeof *sectors - 1;
    struct stat info;
    if (stat(path, &info) == -1) {
        rmt_fail_errno(error, "%s", path);
        return NULL;
    }
    for (size_t i = S_ISREG(info.st_mode) ? 0 : last;; i++) {
        struct fdisk_context *context = fdisk_new_context();
        if (!context)
            abort();
        fdisk_disable_dialogs(context, 1);
        if (S_ISREG(info.st_mode))
            fdisk_save_user_sector_size(context, sectors[i], sectors[i]);
        const int rc = fdisk_assign_device(context, path, 1);
        if (rc == 0 && (i == last || s_is_convincing(context)))
            return context;
        fdisk_unref_context(context);
        if (rc) {
            errno = -rc;
            rmt_fail_errno(error, "open %s", path);
            return NULL;
        }
    }
}

// A hybrid MBR names partitions of the GPT a second time; written anew it would be
// lost without a word, so it is refused.
static int
s_refuse_hybrid(const char *path, rmt_error_t *error)
{
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open %s", path);
    unsigned char mbr[MBR_SIZE];
    if (rmt_io_pread(fd, mbr, sizeof mbr, 0, error) == -1)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        const unsigned char type = mbr[MBR_TABLE + i * 16 + 4];
        if (type && type != MBR_TYPE_PROTECTIVE)
            return rmt_fail(error, RMT_E_UNSUPPORTED, "%s has a hybrid MBR", path);
    }
    return 0;
}

static int
s_read_label(struct fdisk_context *context, const char *path, const char *role,
             rmt_record_t *disk, rmt_error_t *error)
{
    rmt_record_set(disk, "class", "disk");
    rmt_record_set(disk, "role", role);
    const unsigned long sector = fdisk_get_sector_size(context);
    rmt_record_set_u64(disk, "logical-sector", sector);
    rmt_record_set_u64(disk, "bytes", fdisk_get_nsectors(context) * sector);
    if (!fdisk_has_label(context)) {
        rmt_record_set(disk, "table", "none");
        return 0;
    }
    struct fdisk_label *label = fdisk_get_label(context, NULL);
    if (!fdisk_is_label(context, GPT) && !fdisk_is_label(context, DOS))
        return rmt_fail(error, RMT_E_UNSUPPORTED, "%s has a partition table of kind %s",
                        path, fdisk_label_get_name(label));
    rmt_record_set(disk, "table", fdisk_is_label(context, GPT) ? "gpt" : "dos");
    char *id = NULL;
    if (fdisk_get_disklabel_id(context, &id) == 0 && id)
        rmt_record_set(disk, "guid", id);
    free(id);
    if (!fdisk_is_label(context, GPT))
        return 0;
    rmt_record_set_u64(disk, "entries", fdisk_get_npartitions(context));
    rmt_record_set_u64(disk, "first-lba", fdisk_get_first_lba(context));
    return s_refuse_hybrid(path, error);
}

// What PARTUUID= means in a DOS table: the disk's id and the number.
static void
s_set_dos_guid(struct fdisk_context *context, size_t number, rmt_record_t *record)
{
    char *id = NULL;
    if (fdisk_get_disklabel_id(context, &id) == 0 && id && strncmp(id, "0x", 2) == 0)
        rmt_record_setf(record, "guid", "%s-%02zx", id + 2, number);
    free(id);
}

static void
s_read_partition(struct fdisk_context *context, struct fdisk_partition *partition,
                 const char *role, rmt_record_t *record)
{
    const size_t index = fdisk_partition_get_partno(partition);
    rmt_record_set(record, "class", "partition");
    rmt_record_set(record, "disk", role);
    rmt_record_set_u64(record, "number", index + 1);
    rmt_record_set_u64(record, "start", fdisk_partition_get_start(partition));
    rmt_record_set_u64(record, "size", fdisk_partition_get_size(partition));
    struct fdisk_parttype *type = fdisk_partition_get_type(partition);
    if (fdisk_is_label(context, DOS)) {
        rmt_record_setf(record, "type", "%02x", fdisk_parttype_get_code(type));
        rmt_record_set(record, "boot",
                       fdisk_partition_is_bootable(partition) ? "yes" : "no");
        s_set_dos_guid(context, index + 1, record);
        return;
    }
    rmt_record_set(record, "type", fdisk_parttype_get_string(type));
    const char *guid = fdisk_partition_get_uuid(partition);
    const char *name = fdisk_partition_get_name(partition);
    if (guid)
        rmt_record_set(record, "guid", guid);
    rmt_record_set(record, "name", name ? name : "");
    uint64_t attrs = 0;
    if (fdisk_gpt_get_partition_attrs(context, index, &attrs) == 0)
        rmt_record_setf(record, "attrs", "%016" PRIx64, attrs);
}

rmt_records_t *
rmt_disk_read(const char *path, const char *role, rmt_error_t *error)
{
    assert(path);
    assert(role);
    __attribute__((cleanup(s_unref_context))) struct fdisk_context *context =
        s_open(path, error);
    if (!context)
        return NULL;
    rmt_auto(rmt_records) records = rmt_records_new();
    if (s_read_label(context, path, role, rmt_records_add(records), error) == -1)
        return NULL;
    if (!fdisk_has_label(context))
        return rmt_take(&records);
    __attribute__((cleanup(s_unref_table))) struct fdisk_table *table = NULL;
    __attribute__((cleanup(s_unref_iter))) struct fdisk_iter *iter =
        fdisk_new_iter(FDISK_ITER_FORWARD);
    if (fdisk_get_partitions(context, &table) != 0) {
        rmt_fail(error, RMT_E_CORRUPT, "partition table of %s", path);
        return NULL;
    }
    struct fdisk_partition *partition = NULL;
    while (fdisk_table_next_partition(table, iter, &partition) == 0)
        s_read_partition(context, partition, role, rmt_records_add(records));
    return rmt_take(&records);
}

rmt_records_t *
rmt_disk_select(const rmt_records_t *layouts, const char *role)
{
    assert(layouts);
    rmt_records_t *records = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(layouts); i++) {
        const rmt_record_t *record = rmt_records_at(layouts, i);
        const bool is_disk = strcmp(rmt_record_text(record, "class", ""), "disk") == 0;
        const char *name = rmt_record_text(record, is_disk ? "role" : "disk", "");
        if (strcmp(name, role) != 0)
            continue;
        rmt_record_t *copy = rmt_record_dup(record);
        rmt_records_append(records, &copy);
    }
    return records;
}

bool
rmt_disk_is_esp(const rmt_records_t *layouts, const rmt_record_t *volume)
{
    assert(layouts);
    assert(volume);
    for (size_t i = 0; i < rmt_records_count(layouts); i++) {
        const rmt_record_t *record = rmt_records_at(layouts, i);
        const char *type = rmt_record_text(record, "type", "");
        if (strcmp(rmt_record_text(record, "class", ""), "partition") == 0 &&
            strcmp(rmt_record_text(record, "disk", ""),
                   rmt_record_text(volume, "disk", "")) == 0 &&
            strcmp(rmt_record_text(record, "number", ""),
                   rmt_record_text(volume, "partition", "-")) == 0)
            return strcasecmp(type, TYPE_ESP) == 0 || strcasecmp(type, MBR_TYPE_ESP) == 0;
    }
    return false;
}
