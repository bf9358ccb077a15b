// Rules over a whole layout: what one field cannot tell.
#include "facts/rmt_layout_rows.h"
#include "base/rmt_auto.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DOS_PRIMARIES 4
#define HEX "0123456789abcdefABCDEF"

// ---- Identifiers, by the kind of table

// Groups of hexadecimal digits with a dash between: "8-4-4-4-12".
static bool
s_has_form(const char *text, const size_t *groups, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strspn(text, HEX) != groups[i])
            return false;
        text += groups[i];
        if (i + 1 < count && *text++ != '-')
            return false;
    }
    return *text == '\0';
}

static bool
s_is_guid(const char *text)
{
    static const size_t groups[] = {8, 4, 4, 4, 12};
    return s_has_form(text, groups, 5);
}

static bool
s_is_dos_id(const char *text)
{
    static const size_t groups[] = {8};
    return strncmp(text, "0x", 2) == 0 && s_has_form(text + 2, groups, 1);
}

// The id of the table, a dash and the number.
static bool
s_is_dos_guid(const char *text)
{
    const size_t size = strlen(text);
    return size > 9 && strspn(text, HEX) == 8 && text[8] == '-' &&
           strspn(text + 9, HEX) == size - 9;
}

// ---- Disks

static int
s_check_disk(const rmt_layout_t *self, size_t index, rmt_error_t *error)
{
    const rmt_layout_disk_t *disk = &self->disks[index];
    if (rmt_layout_find_disk(self, disk->role) != disk)
        return rmt_fail(error, RMT_E_USAGE,
                        "the layout has two disks with the role '%s'; each role stands "
                        "for one disk",
                        disk->role);
    if (!*disk->guid || disk->table == RMT_TABLE_NONE)
        return 0;
    const bool is_gpt = disk->table == RMT_TABLE_GPT;
    if (is_gpt ? !s_is_guid(disk->guid) : !s_is_dos_id(disk->guid))
        return rmt_fail(error, RMT_E_USAGE,
                        "the layout's disk '%s' has guid '%s'; it must be %s", disk->role,
                        disk->guid,
                        is_gpt ? "a GUID, as its table is gpt"
                               : "0x and 8 hexadecimal digits, as its table is dos");
    return 0;
}

// ---- Partitions

static int
s_refuse(const rmt_layout_t *self, const rmt_layout_partition_t *partition,
         rmt_error_t *error, const char *field, const char *value, const char *wanted)
{
    return rmt_fail(error, RMT_E_USAGE,
                    "the layout's partition %" PRIu64 " of disk '%s' has %s '%s'; it "
                    "must be %s",
                    partition->number, self->disks[partition->disk].role, field, value,
                    wanted);
}

static int
s_check_ids(const rmt_layout_t *self, const rmt_layout_partition_t *partition,
            rmt_error_t *error)
{
    const rmt_layout_disk_t *disk = &self->disks[partition->disk];
    const bool is_gpt = disk->table == RMT_TABLE_GPT;
    const size_t size = strspn(partition->type, HEX);
    const bool is_dos_type = size >= 1 && size <= 2 && !partition->type[size];
    if (is_gpt ? !s_is_guid(partition->type) : !is_dos_type)
        return s_refuse(self, partition, error, "type", partition->type,
                        is_gpt ? "a GUID, as the table is gpt"
                               : "2 hexadecimal digits, as the table is dos");
    if (*partition->guid &&
        (is_gpt ? !s_is_guid(partition->guid) : !s_is_dos_guid(partition->guid)))
        return s_refuse(self, partition, error, "guid", partition->guid,
                        is_gpt ? "a GUID, as the table is gpt"
                               : "the table's id, a dash and the number");
    return 0;
}

static int
s_check_partition(const rmt_layout_t *self, const rmt_layout_partition_t *partition,
                  rmt_error_t *error)
{
    const rmt_layout_disk_t *disk = &self->disks[partition->disk];
    const uint64_t sectors = disk->bytes / disk->sector;
    if (disk->table == RMT_TABLE_NONE)
        return rmt_fail(error, RMT_E_USAGE,
                        "the layout's disk '%s' has partition %" PRIu64
                        ", and table none; a disk with partitions has gpt or dos",
                        disk->role, partition->number);
    if (rmt_layout_find_partition(self, partition->disk, partition->number) != partition)
        return rmt_fail(error, RMT_E_USAGE,
                        "the layout's disk '%s' has partition %" PRIu64 " twice",
                        disk->role, partition->number);
    if (disk->entries && partition->number > disk->entries)
        return rmt_fail(error, RMT_E_USAGE,
                        "the layout's disk '%s' has partition %" PRIu64
                        ", and a table of %" PRIu64 " entries",
                        disk->role, partition->number, disk->entries);
    // What is read from a disk may say so, and could be written in no descriptor.
    if (partition->start == 0 || partition->size == 0)
        return s_refuse(self, partition, error, partition->start ? "size" : "start", "0",
                        "a number from 1, in sectors");
    if (sectors && rmt_layout_end(partition) > sectors)
        return rmt_fail(error, RMT_E_USAGE,
                        "the layout's partition %" PRIu64 " of disk '%s' ends at sector "
                        "%" PRIu64 ", and the disk at %" PRIu64,
                        partition->number, disk->role, rmt_layout_end(partition),
                        sectors);
    if (partition->min_size > partition->size)
        return rmt_fail(error, RMT_E_USAGE,
                        "the layout's partition %" PRIu64 " of disk '%s' has min-size "
                        "%" PRIu64 ", and size %" PRIu64,
                        partition->number, disk->role, partition->min_size,
                        partition->size);
    return s_check_ids(self, partition, error);
}

// Those inside an extended partition lie beside each other only; all others too.
static bool
s_is_inner(const rmt_layout_t *self, const rmt_layout_partition_t *partition)
{
    return self->disks[partition->disk].table == RMT_TABLE_DOS &&
           partition->number > DOS_PRIMARIES;
}

// What moves with the end of a disk lies behind all that does not.
static int
s_check_end(const rmt_layout_t *self, const rmt_layout_partition_t *partition,
            rmt_error_t *error)
{
    const rmt_layout_disk_t *disk = &self->disks[partition->disk];
    const rmt_layout_partition_t *growing = rmt_layout_growing(self, partition->disk);
    if (partition->at_end &&
        rmt_layout_find_physical(self, partition->disk, partition->number, ""))
        return s_refuse(self, partition, error, "at-end", "yes",
                        "absent, because it is a physical volume");
    if (!partition->at_end ||
        (disk->grow && growing && growing->start < partition->start &&
         !rmt_layout_is_extended(partition)))
        return 0;
    return s_refuse(self, partition, error, "at-end", "yes",
                    "absent, because it lies not behind the partition that grows");
}

static const rmt_layout_partition_t *
s_container(const rmt_layout_t *self, const rmt_layout_partition_t *partition)
{
    for (size_t i = 0; i < self->partition_count; i++) {
        const rmt_layout_partition_t *other = &self->partitions[i];
        if (other->disk == partition->disk && rmt_layout_is_extended(other) &&
            other->start < partition->start &&
            rmt_layout_end(partition) <= rmt_layout_end(other))
            return other;
    }
    return NULL;
}

static int
s_compare_place(const void *a, const void *b)
{
    const rmt_layout_partition_t *one = *(const rmt_layout_partition_t *const *) a;
    const rmt_layout_partition_t *two = *(const rmt_layout_partition_t *const *) b;
    if (one->disk != two->disk)
        return one->disk < two->disk ? -1 : 1;
    return one->start == two->start ? 0 : one->start < two->start ? -1 : 1;
}

// Sorted by place, each begins where the one before it has ended.
static int
s_check_overlaps(const rmt_layout_t *self, bool is_inner, rmt_error_t *error)
{
    rmt_auto_ptr memory = calloc(self->partition_count + 1, sizeof(void *));
    const rmt_layout_partition_t **sorted = memory;
    size_t count = 0;
    if (!memory)
        abort();
    for (size_t i = 0; i < self->partition_count; i++)
        if (s_is_inner(self, &self->partitions[i]) == is_inner)
            sorted[count++] = &self->partitions[i];
    if (count)
        qsort(sorted, count, sizeof *sorted, s_compare_place);
    for (size_t i = 1; i < count; i++)
        if (sorted[i]->disk == sorted[i - 1]->disk &&
            sorted[i]->start < rmt_layout_end(sorted[i - 1]))
            return rmt_fail(error, RMT_E_USAGE,
                            "the layout's partitions %" PRIu64 " and %" PRIu64
                            " of disk '%s' overlap at sector %" PRIu64
                            "; correct the table, for example with sfdisk",
                            sorted[i - 1]->number, sorted[i]->number,
                            self->disks[sorted[i]->disk].role, sorted[i]->start);
    for (size_t i = 0; is_inner && i < count; i++)
        if (!s_container(self, sorted[i]))
            return rmt_fail(error, RMT_E_USAGE,
                            "the layout's partition %" PRIu64
                            " of disk '%s' lies in no extended partition",
                            sorted[i]->number, self->disks[sorted[i]->disk].role);
    return 0;
}

// ---- Volumes

static bool
s_is_same_text(const char *one, const char *two)
{
    return strcmp(one, two) == 0;
}

// A btrfs has a volume for each subvolume; any other is one volume.
static bool
s_is_twice(const rmt_layout_t *self, const rmt_layout_volume_t *volume)
{
    for (const rmt_layout_volume_t *other = self->volumes; other < volume; other++)
        if (rmt_layout_is_beside(other, volume) &&
            (!other->subvolume || !volume->subvolume ||
             s_is_same_text(other->subvolume, volume->subvolume)))
            return true;
    return false;
}

// Does a path lead up?
static bool
s_has_dots(const char *path)
{
    for (const char *at = path; *at; at += strcspn(at, "/"), at += *at == '/') {
        const size_t size = strcspn(at, "/");
        if (size == 2 && at[0] == '.' && at[1] == '.')
            return true;
    }
    return false;
}

// What a mount option can hold.
static bool
s_is_subvolume(const rmt_layout_volume_t *volume)
{
    return volume->fs == RMT_FS_BTRFS && volume->subvolume[0] != '/' &&
           !strpbrk(volume->subvolume, ",\n") && !s_has_dots(volume->subvolume);
}

static int
s_refuse_volume(const rmt_layout_t *self, const rmt_layout_volume_t *volume,
                rmt_error_t *error, const char *why)
{
    return rmt_fail(error, RMT_E_USAGE,
                    "the layout's volume '%.100s' on partition %" PRIu64
                    " of disk '%s' %s",
                    volume->mount ? volume->mount : "", volume->partition,
                    self->disks[volume->disk].role, why);
}

// Does it lie on something that is there, and has space for a file system?
static int
s_check_device(const rmt_layout_t *self, const rmt_layout_volume_t *volume,
               rmt_error_t *error)
{
    const rmt_layout_partition_t *partition = rmt_layout_partition_of(self, volume);
    const rmt_layout_logical_t *logical = rmt_layout_logical_of(self, volume);
    if (volume->logical && (!logical || volume->partition))
        return s_refuse_volume(self, volume, error,
                               "has a logical volume that is not there, or a partition "
                               "beside it");
    if (volume->array && rmt_layout_find_physical(self, 0, 0, volume->array))
        return s_refuse_volume(self, volume, error, "lies in a physical volume");
    if (volume->array)
        return rmt_layout_array_of(self, volume) && !volume->partition && !logical
                   ? 0
                   : s_refuse_volume(self, volume, error,
                                     "has an array that is not there, or a partition or "
                                     "logical volume beside it");
    if (logical)
        return logical->disk == volume->disk
                   ? 0
                   : s_refuse_volume(self, volume, error,
                                     "has a logical volume of another disk");
    // The boot sector of a file system on a whole disk passes for a table without
    // partitions.
    if (!partition && (volume->partition || rmt_layout_last(self, volume->disk)))
        return s_refuse_volume(self, volume, error, "has a partition that is not there");
    if (partition && rmt_layout_is_extended(partition))
        return s_refuse_volume(self, volume, error, "lies in an extended partition");
    if (rmt_layout_find_member(self, volume->disk, volume->partition))
        return s_refuse_volume(self, volume, error, "lies in a member of an array");
    return rmt_layout_find_physical(self, volume->disk, volume->partition, "")
               ? s_refuse_volume(self, volume, error, "lies in a physical volume")
               : 0;
}

static int
s_check_volume(const rmt_layout_t *self, const rmt_layout_volume_t *volume,
               rmt_error_t *error)
{
    if (s_check_device(self, volume, error) == -1)
        return -1;
    if (volume->subvolume && !s_is_subvolume(volume))
        return s_refuse_volume(
            self, volume, error,
            "has a subvolume that is not a path from the top of a btrfs");
    if (volume->fs == RMT_FS_RAW && !volume->partition)
        return s_refuse_volume(self, volume, error, "is raw, and lies in no partition");
    if (volume->mount && s_has_dots(volume->mount))
        return s_refuse_volume(self, volume, error, "is mounted on a path with '..'");
    return s_is_twice(self, volume)
               ? s_refuse_volume(self, volume, error, "is there twice")
               : 0;
}

static int
s_check_swap(const rmt_layout_t *self, const rmt_layout_swap_t *swap, rmt_error_t *error)
{
    const rmt_layout_volume_t *volume = rmt_layout_volume_of(self, swap);
    const bool has_tree = volume && volume->fs != RMT_FS_NONE &&
                          volume->fs != RMT_FS_SWAP && volume->fs != RMT_FS_VFAT;
    if (has_tree && !s_has_dots(swap->path) && swap->path[1])
        return 0;
    return rmt_fail(error, RMT_E_USAGE, "the layout's swap file '%.100s' %s", swap->path,
                    has_tree ? "has no path of a file"
                             : "lies in a volume that is not there, or has no files");
}

// ---- Numbers

typedef struct {
    const char *class;
    const rmt_layout_rows_t *table;
    const void *items;
    size_t count, size; // Bytes of each
} list_t;

static int
s_check_numbers(const list_t *list, const void *item, rmt_error_t *error)
{
    for (size_t i = 0; i < list->table->count; i++) {
        const rmt_layout_row_t *row = &list->table->rows[i];
        if (row->kind != AS_NUMBER)
            continue;
        const uint64_t number = *(const uint64_t *) ((const char *) item + row->offset);
        const bool is_absent = number == 0 && !row->is_required;
        if (!is_absent && (number < row->least || number > row->most))
            return rmt_fail(error, RMT_E_USAGE,
                            "the layout has a %s with %s %" PRIu64
                            "; it must be a number from %" PRIu64 " to %" PRIu64,
                            list->class, row->name, number, row->least, row->most);
    }
    return 0;
}

#define LIST(class, name)                                                                \
    {                                                                                    \
        class, &rmt_layout_##name##_rows, self->name##s, self->name##_count,             \
            sizeof *self->name##s                                                        \
    }

// What was read from a disk has passed no door: an image with it could not be read.
static int
s_check_ranges(const rmt_layout_t *self, rmt_error_t *error)
{
    const list_t lists[] = {
        LIST("disk", disk),         LIST("partition", partition), LIST("array", array),
        LIST("member", member),     LIST("crypt", crypt),         LIST("group", group),
        LIST("physical", physical), LIST("logical", logical),     LIST("piece", piece),
        LIST("volume", volume),     LIST("swap-file", swap)};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (size_t j = 0; j < lists[i].count; j++)
            if (s_check_numbers(&lists[i],
                                (const char *) lists[i].items + j * lists[i].size,
                                error) == -1)
                return -1;
    return 0;
}

int
rmt_layout_check(const rmt_layout_t *self, rmt_error_t *error)
{
    assert(self);
    for (size_t i = 0; i < self->disk_count; i++)
        if (s_check_disk(self, i, error) == -1)
            return -1;
    for (size_t i = 0; i < self->partition_count; i++)
        if (s_check_partition(self, &self->partitions[i], error) == -1 ||
            s_check_end(self, &self->partitions[i], error) == -1)
            return -1;
    if (s_check_overlaps(self, false, error) == -1 ||
        s_check_overlaps(self, true, error) == -1 ||
        rmt_layout_check_arrays(self, error) == -1 ||
        rmt_layout_check_crypts(self, error) == -1 ||
        rmt_layout_check_groups(self, error) == -1 ||
        rmt_layout_check_inner_crypts(self, error) == -1)
        return -1;
    for (size_t i = 0; i < self->volume_count; i++)
        if (s_check_volume(self, &self->volumes[i], error) == -1)
            return -1;
    // A short order has none of its volumes.
    for (size_t i = 0; self->volume_count && i < self->swap_count; i++)
        if (s_check_swap(self, &self->swaps[i], error) == -1)
            return -1;
    return s_check_ranges(self, error);
}
