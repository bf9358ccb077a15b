#include "disk/rmt_disk.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_gpt.h"

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

#define MBR_SIZE 512
#define MBR_TABLE 446
#define MBR_TYPE_PROTECTIVE 0xee

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

static int
s_check_entries(const char *path, rmt_error_t *error)
{
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open %s", path);
    return rmt_gpt_check(fd, 0, 0, path, error);
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
    if (s_check_entries(path, error) == -1)
        return NULL;
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
// lost without a word, so it is refused. Where a GPT is guarded and none is found, the
// guard is no partition.
static int
s_check_guard(const char *path, rmt_table_t table, rmt_error_t *error)
{
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open %s", path);
    unsigned char mbr[MBR_SIZE];
    if (rmt_io_pread(fd, mbr, sizeof mbr, 0, error) == -1)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        const unsigned char type = mbr[MBR_TABLE + i * 16 + 4];
        if (type == MBR_TYPE_PROTECTIVE && table == RMT_TABLE_DOS)
            return rmt_fail(error, RMT_E_CORRUPT,
                            "%s has a GPT of which both copies are damaged, or that is "
                            "larger than the disk; repair it with gdisk or sgdisk -e",
                            path);
        if (type && type != MBR_TYPE_PROTECTIVE && table == RMT_TABLE_GPT)
            return rmt_fail(error, RMT_E_UNSUPPORTED, "%s has a hybrid MBR", path);
    }
    return 0;
}

// Identifiers are longer than their field in no table that libfdisk reads.
static void
s_copy_id(char out[RMT_LAYOUT_GUID_SIZE], const char *id)
{
    snprintf(out, RMT_LAYOUT_GUID_SIZE, "%s", id ? id : "");
}

static int
s_read_label(struct fdisk_context *context, const char *path, rmt_layout_disk_t *disk,
             rmt_error_t *error)
{
    disk->sector = fdisk_get_sector_size(context);
    disk->bytes = fdisk_get_nsectors(context) * disk->sector;
    if (!fdisk_has_label(context))
        return 0;
    struct fdisk_label *label = fdisk_get_label(context, NULL);
    if (!fdisk_is_label(context, GPT) && !fdisk_is_label(context, DOS))
        return rmt_fail(error, RMT_E_UNSUPPORTED, "%s has a partition table of kind %s",
                        path, fdisk_label_get_name(label));
    disk->table = fdisk_is_label(context, GPT) ? RMT_TABLE_GPT : RMT_TABLE_DOS;
    rmt_auto_str id = NULL;
    if (fdisk_get_disklabel_id(context, &id) == 0)
        s_copy_id(disk->guid, id);
    if (disk->table == RMT_TABLE_DOS)
        return s_check_guard(path, disk->table, error);
    disk->entries = fdisk_get_npartitions(context);
    disk->first_lba = fdisk_get_first_lba(context);
    return s_check_guard(path, disk->table, error);
}

// What PARTUUID= means in a DOS table: the disk's id and the number.
static void
s_set_dos_guid(const rmt_layout_disk_t *disk, rmt_layout_partition_t *partition)
{
    if (strncmp(disk->guid, "0x", 2) == 0)
        snprintf(partition->guid, sizeof partition->guid, "%.8s-%02" PRIx64,
                 disk->guid + 2, partition->number);
}

static void
s_read_partition(struct fdisk_context *context, struct fdisk_partition *found,
                 const rmt_layout_disk_t *disk, rmt_layout_partition_t *partition)
{
    const size_t index = fdisk_partition_get_partno(found);
    partition->number = index + 1;
    partition->start = fdisk_partition_get_start(found);
    partition->size = fdisk_partition_get_size(found);
    struct fdisk_parttype *type = fdisk_partition_get_type(found);
    if (disk->table == RMT_TABLE_DOS) {
        snprintf(partition->type, sizeof partition->type, "%02x",
                 fdisk_parttype_get_code(type));
        partition->boot = fdisk_partition_is_bootable(found);
        s_set_dos_guid(disk, partition);
        return;
    }
    const char *name = fdisk_partition_get_name(found);
    s_copy_id(partition->type, fdisk_parttype_get_string(type));
    s_copy_id(partition->guid, fdisk_partition_get_uuid(found));
    partition->name = rmt_text("%s", name ? name : "");
    (void) fdisk_gpt_get_partition_attrs(context, index, &partition->attrs);
}

rmt_layout_t *
rmt_disk_read(const char *path, const char *role, rmt_error_t *error)
{
    assert(path);
    assert(role);
    __attribute__((cleanup(s_unref_context))) struct fdisk_context *context =
        s_open(path, error);
    if (!context)
        return NULL;
    rmt_auto(rmt_layout) layout = rmt_layout_new();
    rmt_layout_disk_t *disk = rmt_layout_add_disk(layout, role);
    if (s_read_label(context, path, disk, error) == -1)
        return NULL;
    if (!fdisk_has_label(context))
        return rmt_take(&layout);
    __attribute__((cleanup(s_unref_table))) struct fdisk_table *table = NULL;
    __attribute__((cleanup(s_unref_iter))) struct fdisk_iter *iter =
        fdisk_new_iter(FDISK_ITER_FORWARD);
    if (fdisk_get_partitions(context, &table) != 0) {
        rmt_fail(error, RMT_E_CORRUPT, "partition table of %s", path);
        return NULL;
    }
    struct fdisk_partition *found = NULL;
    while (fdisk_table_next_partition(table, iter, &found) == 0)
        s_read_partition(context, found, disk, rmt_layout_add_partition(layout, 0));
    return rmt_take(&layout);
}
