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
#define GPT_ENTRIES ((uint64_t) 128)
#define DOS_BOOT_FLAG 1

// One disk of a layout on its way to a real one.
typedef struct {
    rmt_layout_t *layout; // Of this disk alone; changed to what is really written
    rmt_layout_disk_t *disk;
    const char *path;
    uint64_t bytes; // Of the real disk
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
            return rmt_fail_errno(error, "read the size of %s", plan->path);
        if ((uint64_t) sector != plan->disk->sector)
            return rmt_fail(
                error, RMT_E_INCOMPATIBLE,
                "%s has sectors of %d bytes, and the layout has sectors of %" PRIu64,
                plan->path, sector, plan->disk->sector);
    }
    const uint64_t needed = rmt_layout_min_bytes(plan->layout, 0);
    if (plan->bytes < needed)
        return rmt_fail(error, RMT_E_NO_SPACE,
                        "%s is too small: the layout needs %" PRIu64
                        " bytes, and the disk has %" PRIu64,
                        plan->path, needed, plan->bytes);
    return 0;
}

// Where the last partition ends on the real disk: at a border of 1 MiB unless its own end
// lies behind that already.
static uint64_t
s_new_end(const plan_t *plan, uint64_t old_end, uint64_t least)
{
    const uint64_t usable =
        plan->bytes / plan->disk->sector - rmt_layout_tail(plan->disk);
    const uint64_t grain = GRAIN_SIZE / plan->disk->sector;
    uint64_t end = usable / grain * grain;
    if (old_end <= usable && end < old_end)
        end = old_end;
    if (end < least)
        end = usable;
    // A DOS table counts in 32 bits.
    if (!plan->is_gpt && end > UINT32_MAX)
        end = old_end > UINT32_MAX ? old_end : UINT32_MAX;
    return end;
}

// How far what lies behind the growing partition moves: by whole MiB, so that borders
// stay borders, unless that leaves too little.
static int64_t
s_move(const plan_t *plan, const rmt_layout_partition_t *growing,
       const rmt_layout_partition_t *last)
{
    const int64_t grain = (int64_t) (GRAIN_SIZE / plan->disk->sector);
    const uint64_t old_end = rmt_layout_end(last);
    const uint64_t spare = growing->size - (growing->min_size ? growing->min_size : 1);
    const int64_t move =
        (int64_t) s_new_end(plan, old_end, old_end - spare) - (int64_t) old_end;
    if (growing == last)
        return move;
    const int64_t rest = (move % grain + grain) % grain;
    return move - rest >= -(int64_t) spare ? move - rest : move;
}

// Give the growing partition all that is left, and move what lies at the end; an extended
// partition around them ends with them, or moves with them.
static void
s_grow(plan_t *plan)
{
    rmt_layout_partition_t *growing = rmt_layout_growing(plan->layout, 0);
    if (!growing || !plan->disk->grow)
        return;
    const rmt_layout_partition_t *last = rmt_layout_last(plan->layout, 0);
    const uint64_t old_end = rmt_layout_end(growing), last_end = rmt_layout_end(last);
    // Counted in 64 bits, a move to the front wraps around, and so back.
    const uint64_t move = (uint64_t) s_move(plan, growing, last);
    for (size_t i = 0; i < plan->layout->partition_count; i++) {
        rmt_layout_partition_t *other = &plan->layout->partitions[i];
        const bool is_extended = rmt_layout_is_extended(other);
        if (other->at_end || (is_extended && other->start >= old_end))
            other->start += move;
        else if (is_extended && rmt_layout_end(other) >= last_end)
            other->size += move;
    }
    growing->size = rmt_layout_grown(plan->layout, growing, growing->size + move);
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
    if (*plan->disk->guid)
        fdisk_script_set_header(script, "label-id", plan->disk->guid);
    if (plan->is_gpt) {
        const uint64_t entries = plan->disk->entries;
        snprintf(number, sizeof number, "%" PRIu64, entries ? entries : GPT_ENTRIES);
        fdisk_script_set_header(script, "table-length", number);
        snprintf(number, sizeof number, "%" PRIu64, plan->disk->first_lba);
        if (plan->disk->first_lba)
            fdisk_script_set_header(script, "first-lba", number);
    }
    const int rc = fdisk_apply_script_headers(context, script);
    if (rc) {
        errno = -rc;
        return rmt_fail_errno(error, "make a partition table on %s", plan->path);
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
s_add(const plan_t *plan, struct fdisk_context *context,
      const rmt_layout_partition_t *wanted, rmt_error_t *error)
{
    __attribute__((cleanup(s_unref_partition))) struct fdisk_partition *partition =
        fdisk_new_partition();
    const size_t place = wanted->number - 1;
    fdisk_partition_set_partno(partition, place);
    fdisk_partition_set_start(partition, wanted->start);
    fdisk_partition_set_size(partition, wanted->size);
    fdisk_partition_size_explicit(partition, 1);
    if (plan->is_gpt && *wanted->guid)
        fdisk_partition_set_uuid(partition, wanted->guid);
    if (plan->is_gpt && wanted->name && *wanted->name)
        fdisk_partition_set_name(partition, wanted->name);
    int rc = s_set_type(plan, fdisk_get_label(context, NULL), wanted->type, partition);
    size_t index = 0;
    if (rc == 0)
        rc = fdisk_add_partition(context, partition, &index);
    if (rc == 0 && index != place)
        rc = -EINVAL;
    if (rc == 0 && plan->is_gpt)
        rc = fdisk_gpt_set_partition_attrs(context, index, wanted->attrs);
    if (rc == 0 && !plan->is_gpt && wanted->boot)
        rc = fdisk_toggle_partition_flag(context, index, DOS_BOOT_FLAG);
    if (rc == 0 && !rmt_layout_is_extended(wanted))
        fdisk_wipe_partition(context, index, 1);
    if (rc == 0)
        return 0;
    errno = -rc;
    return rmt_fail_errno(error, "partition %" PRIu64 " of %s", wanted->number,
                          plan->path);
}

// Numbers ascend, so an extended partition is there before its logical ones.
static int
s_add_all(const plan_t *plan, struct fdisk_context *context, rmt_error_t *error)
{
    uint64_t done = 0;
    for (;;) {
        const rmt_layout_partition_t *next = NULL;
        for (size_t i = 0; i < plan->layout->partition_count; i++) {
            const rmt_layout_partition_t *one = &plan->layout->partitions[i];
            if (one->number > done && (!next || one->number < next->number))
                next = one;
        }
        if (!next)
            return 0;
        if (s_add(plan, context, next, error) == -1)
            return -1;
        done = next->number;
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
    fdisk_save_user_sector_size(context, (unsigned) plan->disk->sector,
                                (unsigned) plan->disk->sector);
    fdisk_save_user_grain(context, plan->disk->sector);
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
        return rmt_fail_errno(error, "write the partition table of %s", plan->path);
    }
    return 0;
}

static int
s_refuse_other(const plan_t *plan, const rmt_layout_partition_t *wanted,
               const char *field, const char *read, const char *text, rmt_error_t *error)
{
    return rmt_fail(error, RMT_E_IO,
                    "partition %" PRIu64
                    " of %s was written with another %s: '%s' instead of '%s'",
                    wanted->number, plan->path, field, read, text);
}

static int
s_compare_numbers(const plan_t *plan, const rmt_layout_partition_t *wanted,
                  const rmt_layout_partition_t *had, rmt_error_t *error)
{
    const struct {
        const char *field;
        uint64_t wanted, had;
    } rows[] = {{"start", wanted->start, had->start},
                {"size", wanted->size, had->size},
                {"attrs", wanted->attrs, had->attrs}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto_str text = rmt_text("%" PRIu64, rows[i].wanted);
        rmt_auto_str read = rmt_text("%" PRIu64, rows[i].had);
        if (rows[i].wanted != rows[i].had)
            return s_refuse_other(plan, wanted, rows[i].field, read, text, error);
    }
    return 0;
}

// What the layout does not tell was made up.
static int
s_compare_texts(const plan_t *plan, const rmt_layout_partition_t *wanted,
                const rmt_layout_partition_t *had, rmt_error_t *error)
{
    const struct {
        const char *field, *wanted, *had;
    } rows[] = {{"type", wanted->type, had->type},
                {"guid", wanted->guid, had->guid},
                {"name", wanted->name, had->name ? had->name : ""}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].wanted && *rows[i].wanted &&
            strcasecmp(rows[i].wanted, rows[i].had) != 0)
            return s_refuse_other(plan, wanted, rows[i].field, rows[i].had,
                                  rows[i].wanted, error);
    return 0;
}

// The table counts as written when reading it gives the layout.
static int
s_read_back(const plan_t *plan, rmt_error_t *error)
{
    rmt_auto(rmt_layout) found = rmt_disk_read(plan->path, plan->disk->role, error);
    if (!found)
        return -1;
    for (size_t i = 0; i < plan->layout->partition_count; i++) {
        const rmt_layout_partition_t *wanted = &plan->layout->partitions[i];
        const rmt_layout_partition_t *had =
            rmt_layout_find_partition(found, 0, wanted->number);
        if (!had)
            return rmt_fail(error, RMT_E_IO, "partition %" PRIu64 " of %s is missing",
                            wanted->number, plan->path);
        if (s_compare_numbers(plan, wanted, had, error) == -1 ||
            s_compare_texts(plan, wanted, had, error) == -1)
            return -1;
    }
    return 0;
}

rmt_layout_t *
rmt_disk_write(const char *path, const rmt_layout_t *layout, size_t disk,
               rmt_error_t *error)
{
    assert(path);
    assert(layout);
    rmt_auto(rmt_layout) own = rmt_layout_select(layout, disk);
    plan_t plan = {.layout = own, .disk = own->disks, .path = path};
    plan.is_gpt = plan.disk->table == RMT_TABLE_GPT;
    rmt_auto_fd fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd == -1) {
        rmt_fail_errno(error, "open %s", path);
        return NULL;
    }
    if (s_measure(&plan, fd, error) == -1 || rmt_disk_clear(path, error) == -1)
        return NULL;
    s_grow(&plan);
    if (plan.disk->table != RMT_TABLE_NONE &&
        (s_write(&plan, error) == -1 || s_read_back(&plan, error) == -1))
        return NULL;
    plan.disk->bytes = plan.bytes;
    return rmt_take(&own);
}
