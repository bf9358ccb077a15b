// Groups of LVM, their physical and logical volumes.
#include "facts/rmt_layout_rows.h"
#include "base/rmt_io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Of the text about a group: what each of its volumes takes at most.
#define TEXT_EACH ((uint64_t) 512)
#define TEXT_SPACE ((uint64_t) 8192)

#define EXTENT_SIZE_MAX ((uint64_t) 1 << 34)
#define LETTERS "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// ---- Names

bool
rmt_layout_is_lvm_name(const char *text)
{
    const size_t size = strspn(text, LETTERS "+_.-");
    return size > 0 && size < RMT_LAYOUT_LVM_SIZE && !text[size] && text[0] != '-' &&
           strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

bool
rmt_layout_is_lvm_uuid(const char *text)
{
    static const char form[] = "xxxxxx-xxxx-xxxx-xxxx-xxxx-xxxx-xxxxxx";
    size_t i = 0;
    while (form[i] && text[i] &&
           (form[i] == '-' ? text[i] == '-' : strchr(LETTERS, text[i]) != NULL))
        i++;
    return !form[i] && !text[i];
}

// ---- Finding

rmt_layout_group_t *
rmt_layout_find_group(const rmt_layout_t *self, const char *name)
{
    for (size_t i = 0; i < self->group_count; i++)
        if (strcmp(self->groups[i].name, name) == 0)
            return &self->groups[i];
    return NULL;
}

static bool
s_lies(const rmt_layout_physical_t *physical, size_t disk, uint64_t partition,
       const char *array)
{
    return *array ? strcmp(physical->array, array) == 0
                  : !*physical->array && physical->disk == disk &&
                        physical->partition == partition;
}

rmt_layout_physical_t *
rmt_layout_find_physical(const rmt_layout_t *self, size_t disk, uint64_t partition,
                         const char *array)
{
    for (size_t i = 0; i < self->physical_count; i++)
        if (s_lies(&self->physicals[i], disk, partition, array))
            return &self->physicals[i];
    return NULL;
}

rmt_layout_logical_t *
rmt_layout_find_logical(const rmt_layout_t *self, const char *path)
{
    for (size_t i = 0; i < self->logical_count; i++) {
        rmt_layout_logical_t *logical = &self->logicals[i];
        const char *group = self->groups[logical->group].name;
        const size_t size = strlen(group);
        if (strncmp(path, group, size) == 0 && path[size] == '/' &&
            strcmp(path + size + 1, logical->name) == 0)
            return logical;
    }
    return NULL;
}

const rmt_layout_logical_t *
rmt_layout_logical_of(const rmt_layout_t *self, const rmt_layout_volume_t *volume)
{
    return volume->logical ? rmt_layout_find_logical(self, volume->logical) : NULL;
}

char *
rmt_layout_logical_path(const rmt_layout_t *self, const rmt_layout_logical_t *logical)
{
    return rmt_text("%s/%s", self->groups[logical->group].name, logical->name);
}

// Device-mapper writes a dash of a name twice.
static void
s_print_name(FILE *out, const char *name)
{
    for (; *name; name++)
        fprintf(out, *name == '-' ? "--" : "%c", *name);
}

char *
rmt_layout_lvm_node(const char *group, const char *name)
{
    char *path = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&path, &size);
    if (!out)
        abort();
    fputs("/dev/mapper/", out);
    s_print_name(out, group);
    fputc('-', out);
    s_print_name(out, name);
    fclose(out);
    return path;
}

bool
rmt_layout_is_beside(const rmt_layout_volume_t *one, const rmt_layout_volume_t *two)
{
    return one->disk == two->disk && one->partition == two->partition &&
           strcmp(one->logical ? one->logical : "", two->logical ? two->logical : "") ==
               0 &&
           strcmp(one->array ? one->array : "", two->array ? two->array : "") == 0;
}

// ---- Sizes

static uint64_t
s_device_bytes(const rmt_layout_t *self, const rmt_layout_physical_t *physical)
{
    const rmt_layout_partition_t *partition =
        rmt_layout_find_partition(self, physical->disk, physical->partition);
    return partition ? partition->size * self->disks[physical->disk].sector -
                           rmt_layout_crypt_bytes(self, physical->disk, partition->number)
                     : physical->bytes;
}

// Extents that the pieces of a volume take of a physical volume, up to one of them
// (NULL: all).
static uint64_t
s_pieces_on(const rmt_layout_t *self, const rmt_layout_logical_t *logical,
            const rmt_layout_physical_t *physical, const rmt_layout_piece_t *end)
{
    uint64_t extents = 0;
    for (size_t i = 0; i < self->piece_count && &self->pieces[i] != end; i++)
        if (&self->logicals[self->pieces[i].logical] == logical &&
            s_lies(physical, self->pieces[i].disk, self->pieces[i].partition,
                   self->pieces[i].array))
            extents += self->pieces[i].extents + self->pieces[i].meta_extents;
    return extents;
}

bool
rmt_layout_is_spread(const rmt_layout_t *self, const rmt_layout_logical_t *logical)
{
    if (*logical->raid)
        return true;
    for (size_t i = 0; i < self->piece_count; i++) {
        const rmt_layout_piece_t *piece = &self->pieces[i];
        if (&self->logicals[piece->logical] == logical &&
            (piece->chunk || piece->disk != logical->disk ||
             piece->partition != logical->partition ||
             strcmp(piece->array, logical->array) != 0))
            return true;
    }
    return false;
}

static bool
s_is_on(const rmt_layout_logical_t *logical, const rmt_layout_physical_t *physical)
{
    return s_lies(physical, logical->disk, logical->partition, logical->array);
}

uint64_t
rmt_layout_extents(const rmt_layout_t *self, const rmt_layout_physical_t *physical,
                   uint64_t bytes)
{
    if (bytes == s_device_bytes(self, physical))
        return physical->extents;
    return bytes < physical->data_start ? 0
                                        : (bytes - physical->data_start) /
                                              self->groups[physical->group].extent_size;
}

// Extents of a physical volume that a logical one takes in the layout.
static uint64_t
s_taken(const rmt_layout_t *self, const rmt_layout_physical_t *physical,
        const rmt_layout_logical_t *logical)
{
    if (rmt_layout_is_spread(self, logical))
        return s_pieces_on(self, logical, physical, NULL);
    return s_is_on(logical, physical) ? logical->extents : 0;
}

// Extents of the others on the physical volume of one.
static uint64_t
s_others(const rmt_layout_t *self, const rmt_layout_physical_t *physical,
         const rmt_layout_logical_t *one)
{
    uint64_t extents = 0;
    for (size_t i = 0; i < self->logical_count; i++)
        if (&self->logicals[i] != one)
            extents += s_taken(self, physical, &self->logicals[i]);
    return extents;
}

static uint64_t
s_given(const rmt_layout_t *self, const rmt_layout_physical_t *physical,
        const rmt_layout_logical_t *logical, uint64_t bytes)
{
    if (!logical->grow)
        return logical->extents;
    const uint64_t extents = rmt_layout_extents(self, physical, bytes);
    if (extents >= physical->extents)
        return logical->extents + (extents - physical->extents);
    const uint64_t others = s_others(self, physical, logical);
    const uint64_t space = extents > others ? extents - others : 0;
    return space < logical->extents ? space : logical->extents;
}

// Extents on a physical volume of those that are listed before one.
static uint64_t
s_before(const rmt_layout_t *self, const rmt_layout_physical_t *physical,
         const rmt_layout_logical_t *logical, uint64_t bytes)
{
    uint64_t first = 0;
    for (const rmt_layout_logical_t *one = self->logicals; one < logical; one++)
        first += one->grow && s_is_on(one, physical) ? s_given(self, physical, one, bytes)
                                                     : s_taken(self, physical, one);
    return first;
}

uint64_t
rmt_layout_place(const rmt_layout_t *self, const rmt_layout_logical_t *logical,
                 uint64_t bytes, uint64_t *first_out)
{
    const rmt_layout_physical_t *physical =
        rmt_layout_find_physical(self, logical->disk, logical->partition, logical->array);
    if (rmt_layout_is_spread(self, logical)) {
        *first_out = 0;
        return logical->extents;
    }
    *first_out = s_before(self, physical, logical, bytes);
    return s_given(self, physical, logical, bytes);
}

uint64_t
rmt_layout_place_piece(const rmt_layout_t *self, const rmt_layout_piece_t *piece,
                       uint64_t bytes)
{
    const rmt_layout_logical_t *logical = &self->logicals[piece->logical];
    const rmt_layout_physical_t *physical =
        rmt_layout_find_physical(self, piece->disk, piece->partition, piece->array);
    return s_before(self, physical, logical, bytes) +
           s_pieces_on(self, logical, physical, piece);
}

rmt_layout_run_t
rmt_layout_run(const rmt_layout_t *self, const rmt_layout_physical_t *physical,
               uint64_t first, uint64_t extents)
{
    const rmt_layout_partition_t *partition =
        rmt_layout_find_partition(self, physical->disk, physical->partition);
    const uint64_t start = partition && !rmt_layout_crypt_around(self, physical)
                               ? partition->start * self->disks[physical->disk].sector
                               : 0;
    const uint64_t extent = self->groups[physical->group].extent_size;
    return (rmt_layout_run_t){start + physical->data_start + first * extent,
                              extents * extent};
}

uint32_t
rmt_layout_free_number(const rmt_layout_t *self, size_t logical)
{
    uint64_t highest = 0;
    for (size_t i = 0; i < self->partition_count; i++)
        if (self->partitions[i].disk == self->logicals[logical].disk &&
            self->partitions[i].number > highest)
            highest = self->partitions[i].number;
    return (uint32_t) (highest + 1 + logical);
}

uint64_t
rmt_layout_physical_min_bytes(const rmt_layout_t *self,
                              const rmt_layout_physical_t *physical)
{
    uint64_t extents = 0;
    for (size_t i = 0; i < self->logical_count; i++) {
        const rmt_layout_logical_t *logical = &self->logicals[i];
        extents += logical->grow && logical->min_extents && s_is_on(logical, physical)
                       ? logical->min_extents
                       : s_taken(self, physical, logical);
    }
    return physical->data_start + extents * self->groups[physical->group].extent_size;
}

// ---- Rules

// Pieces that are told in the text about a group.
static uint64_t
s_count_spread(const rmt_layout_t *self)
{
    uint64_t count = 0;
    for (size_t i = 0; i < self->logical_count; i++) {
        if (!rmt_layout_is_spread(self, &self->logicals[i]))
            continue;
        // A leg of RAID is told as two volumes, and named by a third.
        for (size_t j = 0; j < self->piece_count; j++)
            if (self->pieces[j].logical == i)
                count += *self->pieces[j].uuid ? 3 : 1;
    }
    return count;
}

static int
s_refuse(rmt_error_t *error, const char *what, const char *name, const char *why)
{
    return rmt_fail(error, RMT_E_USAGE, "the layout's %s '%.127s' %s", what, name, why);
}

static int
s_check_group(const rmt_layout_t *self, size_t index, rmt_error_t *error)
{
    const rmt_layout_group_t *group = &self->groups[index];
    size_t physicals = 0;
    if (!rmt_layout_is_lvm_name(group->name) || !rmt_layout_is_lvm_uuid(group->uuid) ||
        group->extent_size == 0 || group->extent_size > EXTENT_SIZE_MAX)
        return s_refuse(error, "group", group->name,
                        "has a name, uuid or size of extents that LVM has not");
    for (size_t i = 0; i < index; i++)
        if (strcmp(self->groups[i].name, group->name) == 0 ||
            strcmp(self->groups[i].uuid, group->uuid) == 0)
            return s_refuse(error, "group", group->name, "is there twice");
    for (size_t i = 0; i < self->physical_count; i++)
        physicals += self->physicals[i].group == index;
    return physicals ? 0
                     : s_refuse(error, "group", group->name, "has no physical volume");
}

// Bytes that its places on a device are multiples of: sectors of each disk below it, and
// of the encryption around it.
uint64_t
rmt_layout_step(const rmt_layout_t *self, const rmt_layout_physical_t *physical)
{
    const rmt_layout_crypt_t *crypt = rmt_layout_crypt_around(self, physical);
    uint64_t step = self->disks[physical->disk].sector;
    if (crypt && crypt->sector > step)
        step = crypt->sector;
    for (size_t i = 0; *physical->array && i < self->member_count; i++) {
        const rmt_layout_member_t *member = &self->members[i];
        const uint64_t sector = self->disks[member->disk].sector;
        if (strcmp(self->arrays[member->array].uuid, physical->array) == 0 &&
            sector > step)
            step = sector;
    }
    return step;
}

// Is that on which it lies there, and is it a physical volume and nothing else?
static int
s_check_device(const rmt_layout_t *self, const rmt_layout_physical_t *physical,
               rmt_error_t *error)
{
    const rmt_layout_partition_t *partition =
        rmt_layout_find_partition(self, physical->disk, physical->partition);
    for (const rmt_layout_physical_t *one = self->physicals; one < physical; one++)
        if (strcmp(one->uuid, physical->uuid) == 0 ||
            s_lies(one, physical->disk, physical->partition, physical->array))
            return s_refuse(error, "physical volume", physical->uuid, "is there twice");
    if (*physical->array)
        return rmt_layout_find_array(self, physical->array) && !physical->partition
                   ? 0
                   : s_refuse(error, "physical volume", physical->uuid,
                              "has an array that is not there, or a partition beside it");
    if (!physical->partition)
        return rmt_layout_last(self, physical->disk)
                   ? s_refuse(error, "physical volume", physical->uuid,
                              "has a whole disk that has partitions")
                   : 0;
    if (!partition || rmt_layout_is_extended(partition))
        return s_refuse(error, "physical volume", physical->uuid,
                        "has a partition that is not there, or an extended one");
    return rmt_layout_find_member(self, physical->disk, physical->partition)
               ? s_refuse(error, "physical volume", physical->uuid,
                          "lies in a member of an array")
               : 0;
}

// May its partition or disk become smaller than what lies on it?
static bool
s_shrinks_below(const rmt_layout_t *self, const rmt_layout_physical_t *physical)
{
    const rmt_layout_disk_t *disk = &self->disks[physical->disk];
    const rmt_layout_partition_t *partition =
        rmt_layout_find_partition(self, physical->disk, physical->partition);
    const uint64_t bytes = partition          ? partition->min_size * disk->sector
                           : *physical->array ? 0
                                              : disk->required_bytes;
    return bytes &&
           bytes < rmt_layout_physical_min_bytes(self, physical) +
                       rmt_layout_crypt_bytes(self, physical->disk, physical->partition);
}

static int
s_check_physical(const rmt_layout_t *self, size_t index, rmt_error_t *error)
{
    const rmt_layout_physical_t *physical = &self->physicals[index];
    const uint64_t extent_size = self->groups[physical->group].extent_size;
    const uint64_t step = rmt_layout_step(self, physical);
    uint64_t growing = 0;
    if (!rmt_layout_is_lvm_uuid(physical->uuid))
        return s_refuse(error, "physical volume", physical->uuid, "has no uuid of LVM");
    if (s_check_device(self, physical, error) == -1)
        return -1;
    const uint64_t bytes = s_device_bytes(self, physical);
    // LVM writes the next text beside the last one.
    const uint64_t text =
        TEXT_EACH * (self->physical_count + self->logical_count + s_count_spread(self));
    if (physical->data_start < TEXT_SPACE + 2 * text)
        return s_refuse(error, "physical volume", physical->uuid,
                        "has no space for the description of its group");
    if (physical->data_start % step || extent_size % step ||
        bytes < physical->data_start ||
        physical->extents > (bytes - physical->data_start) / extent_size)
        return s_refuse(error, "physical volume", physical->uuid,
                        "does not fit into its partition, disk or array");
    for (size_t i = 0; i < self->logical_count; i++)
        growing += self->logicals[i].grow && s_is_on(&self->logicals[i], physical);
    if (growing > 1 || s_others(self, physical, NULL) > physical->extents)
        return s_refuse(error, "physical volume", physical->uuid,
                        "has logical volumes that do not fit into it, or two that grow");
    if (s_shrinks_below(self, physical))
        return s_refuse(error, "physical volume", physical->uuid,
                        "has a partition or disk that may shrink below its volumes");
    return 0;
}

static int
s_check_logical(const rmt_layout_t *self, size_t index, rmt_error_t *error)
{
    const rmt_layout_logical_t *logical = &self->logicals[index];
    const rmt_layout_physical_t *physical =
        rmt_layout_find_physical(self, logical->disk, logical->partition, logical->array);
    if (!rmt_layout_is_lvm_name(logical->name) || !rmt_layout_is_lvm_uuid(logical->uuid))
        return s_refuse(error, "logical volume", logical->name,
                        "has a name or uuid that LVM has not");
    if (strstr(logical->name, "_rimage") || strstr(logical->name, "_rmeta"))
        return s_refuse(error, "logical volume", logical->name,
                        "has a name that LVM keeps for legs of RAID");
    for (size_t i = 0; i < index; i++)
        if (strcmp(self->logicals[i].uuid, logical->uuid) == 0 ||
            (self->logicals[i].group == logical->group &&
             strcmp(self->logicals[i].name, logical->name) == 0))
            return s_refuse(error, "logical volume", logical->name, "is there twice");
    if (!physical || physical->group != logical->group)
        return s_refuse(error, "logical volume", logical->name,
                        "lies on no physical volume of its group");
    if (logical->min_extents > logical->extents)
        return s_refuse(error, "logical volume", logical->name,
                        "has min-extents above its extents");
    return rmt_layout_is_spread(self, logical)
               ? rmt_layout_check_pieces(self, logical, error)
               : 0;
}

int
rmt_layout_check_groups(const rmt_layout_t *self, rmt_error_t *error)
{
    for (size_t i = 0; i < self->group_count; i++)
        if (s_check_group(self, i, error) == -1)
            return -1;
    for (size_t i = 0; i < self->physical_count; i++)
        if (s_check_physical(self, i, error) == -1)
            return -1;
    for (size_t i = 0; i < self->logical_count; i++)
        if (s_check_logical(self, i, error) == -1)
            return -1;
    return 0;
}
