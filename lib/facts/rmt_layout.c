#include "facts/rmt_layout.h"
#include "base/rmt_grow.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TYPE_ESP "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
#define TYPE_BIOS_BOOT "21686148-6449-6E6F-744E-656564454649"
#define DOS_TYPE_ESP "ef"
#define GPT_ENTRY_SIZE 128
#define GPT_ENTRIES 128
#define UNIT ((uint64_t) 4096) // The largest sector of an encryption

// ---- The instance

rmt_layout_t *
rmt_layout_new(void)
{
    rmt_layout_t *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    return self;
}

static char *
s_copy(const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
        abort();
    return copy;
}

rmt_layout_disk_t *
rmt_layout_add_disk(rmt_layout_t *self, const char *role)
{
    assert(self);
    assert(strlen(role) <= RMT_RECORD_NAME_MAX);
    rmt_grow_one(&self->disks, self->disk_count);
    rmt_layout_disk_t *disk = &self->disks[self->disk_count++];
    *disk = (rmt_layout_disk_t){.sector = 512};
    strcpy(disk->role, role);
    return disk;
}

rmt_layout_partition_t *
rmt_layout_add_partition(rmt_layout_t *self, size_t disk)
{
    assert(disk < self->disk_count);
    rmt_grow_one(&self->partitions, self->partition_count);
    rmt_layout_partition_t *partition = &self->partitions[self->partition_count++];
    *partition = (rmt_layout_partition_t){.disk = disk};
    return partition;
}

void
rmt_layout_remove_partition(rmt_layout_t *self, size_t index)
{
    assert(index < self->partition_count);
    free(self->partitions[index].name);
    self->partition_count--;
    memmove(&self->partitions[index], &self->partitions[index + 1],
            (self->partition_count - index) * sizeof *self->partitions);
}

rmt_layout_array_t *
rmt_layout_add_array(rmt_layout_t *self, const char *uuid)
{
    assert(strlen(uuid) < RMT_LAYOUT_GUID_SIZE);
    rmt_grow_one(&self->arrays, self->array_count);
    rmt_layout_array_t *array = &self->arrays[self->array_count++];
    *array = (rmt_layout_array_t){.name = NULL};
    strcpy(array->uuid, uuid);
    return array;
}

rmt_layout_member_t *
rmt_layout_add_member(rmt_layout_t *self, size_t disk)
{
    assert(disk < self->disk_count);
    rmt_grow_one(&self->members, self->member_count);
    rmt_layout_member_t *member = &self->members[self->member_count++];
    *member = (rmt_layout_member_t){.disk = disk};
    return member;
}

rmt_layout_crypt_t *
rmt_layout_add_crypt(rmt_layout_t *self, size_t disk)
{
    assert(disk < self->disk_count);
    rmt_grow_one(&self->crypts, self->crypt_count);
    rmt_layout_crypt_t *crypt = &self->crypts[self->crypt_count++];
    *crypt = (rmt_layout_crypt_t){.disk = disk, .sector = 512};
    return crypt;
}

rmt_layout_group_t *
rmt_layout_add_group(rmt_layout_t *self, const char *name)
{
    assert(strlen(name) < RMT_LAYOUT_LVM_SIZE);
    rmt_grow_one(&self->groups, self->group_count);
    rmt_layout_group_t *group = &self->groups[self->group_count++];
    *group = (rmt_layout_group_t){.extent_size = 0};
    strcpy(group->name, name);
    return group;
}

rmt_layout_physical_t *
rmt_layout_add_physical(rmt_layout_t *self, size_t disk)
{
    assert(disk < self->disk_count);
    rmt_grow_one(&self->physicals, self->physical_count);
    rmt_layout_physical_t *physical = &self->physicals[self->physical_count++];
    *physical = (rmt_layout_physical_t){.disk = disk};
    return physical;
}

rmt_layout_logical_t *
rmt_layout_add_logical(rmt_layout_t *self, size_t disk)
{
    assert(disk < self->disk_count);
    rmt_grow_one(&self->logicals, self->logical_count);
    rmt_layout_logical_t *logical = &self->logicals[self->logical_count++];
    *logical = (rmt_layout_logical_t){.disk = disk};
    return logical;
}

rmt_layout_piece_t *
rmt_layout_add_piece(rmt_layout_t *self, size_t logical)
{
    rmt_grow_one(&self->pieces, self->piece_count);
    rmt_layout_piece_t *piece = &self->pieces[self->piece_count++];
    *piece = (rmt_layout_piece_t){.logical = logical};
    return piece;
}

rmt_layout_volume_t *
rmt_layout_add_volume(rmt_layout_t *self, size_t disk)
{
    assert(disk < self->disk_count);
    rmt_grow_one(&self->volumes, self->volume_count);
    rmt_layout_volume_t *volume = &self->volumes[self->volume_count++];
    *volume = (rmt_layout_volume_t){.disk = disk, .format = rmt_record_new()};
    rmt_record_set(volume->format, "class", "volume");
    return volume;
}

rmt_layout_volume_t *
rmt_layout_add_sibling(rmt_layout_t *self, size_t index)
{
    assert(index < self->volume_count);
    rmt_grow_one(&self->volumes, self->volume_count);
    const rmt_layout_volume_t *pattern = &self->volumes[index];
    rmt_layout_volume_t *volume = &self->volumes[self->volume_count++];
    *volume = (rmt_layout_volume_t){.disk = pattern->disk,
                                    .partition = pattern->partition,
                                    .logical = s_copy(pattern->logical),
                                    .array = s_copy(pattern->array),
                                    .fs = pattern->fs,
                                    .format = rmt_record_dup(pattern->format)};
    return volume;
}

rmt_layout_swap_t *
rmt_layout_add_swap(rmt_layout_t *self, size_t index)
{
    assert(index < self->volume_count);
    const rmt_layout_volume_t *volume = &self->volumes[index];
    rmt_grow_one(&self->swaps, self->swap_count);
    rmt_layout_swap_t *swap = &self->swaps[self->swap_count++];
    *swap = (rmt_layout_swap_t){.disk = volume->disk,
                                .partition = volume->partition,
                                .logical = s_copy(volume->logical),
                                .array = s_copy(volume->array),
                                .subvolume = s_copy(volume->subvolume)};
    return swap;
}

static void
s_copy_disk(const rmt_layout_t *from, size_t disk, rmt_layout_t *to)
{
    const size_t own = to->disk_count;
    *rmt_layout_add_disk(to, "") = from->disks[disk];
    for (size_t i = 0; i < from->partition_count; i++) {
        if (from->partitions[i].disk != disk)
            continue;
        rmt_layout_partition_t *partition = rmt_layout_add_partition(to, own);
        *partition = from->partitions[i];
        partition->disk = own;
        partition->name = s_copy(partition->name);
    }
}

rmt_layout_t *
rmt_layout_select(const rmt_layout_t *self, size_t disk)
{
    assert(disk < self->disk_count);
    rmt_layout_t *copy = rmt_layout_new();
    s_copy_disk(self, disk, copy);
    return copy;
}

void
rmt_layout_join(rmt_layout_t *self, const rmt_layout_t *one)
{
    assert(self && one && self != one && one->disk_count == 1);
    s_copy_disk(one, 0, self);
}

static void
s_free_crypts(rmt_layout_t *self)
{
    for (size_t i = 0; i < self->crypt_count; i++) {
        free(self->crypts[i].logical);
        free(self->crypts[i].name);
        free(self->crypts[i].label);
        free(self->crypts[i].cipher);
        free(self->crypts[i].hash);
        free(self->crypts[i].pbkdf);
    }
    free(self->crypts);
}

void
rmt_layout_destroy(rmt_layout_t **self_p)
{
    assert(self_p);
    rmt_layout_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->partition_count; i++)
        free(self->partitions[i].name);
    for (size_t i = 0; i < self->volume_count; i++) {
        rmt_record_destroy(&self->volumes[i].format);
        free(self->volumes[i].logical);
        free(self->volumes[i].array);
        free(self->volumes[i].subvolume);
        free(self->volumes[i].mount);
    }
    for (size_t i = 0; i < self->swap_count; i++) {
        free(self->swaps[i].logical);
        free(self->swaps[i].array);
        free(self->swaps[i].subvolume);
        free(self->swaps[i].path);
        free(self->swaps[i].uuid);
        free(self->swaps[i].label);
    }
    for (size_t i = 0; i < self->array_count; i++) {
        free(self->arrays[i].name);
        free(self->arrays[i].metadata);
    }
    s_free_crypts(self);
    free(self->swaps);
    free(self->arrays);
    free(self->members);
    free(self->disks);
    free(self->partitions);
    free(self->groups);
    free(self->physicals);
    free(self->logicals);
    free(self->pieces);
    free(self->volumes);
    free(self);
    *self_p = NULL;
}

// ---- Questions

const char *
rmt_fs_kind_name(rmt_fs_kind_t kind)
{
    static const char *const names[] = {"none",  "ext2", "ext3", "ext4", "xfs",
                                        "btrfs", "vfat", "swap", "raw"};
    return kind < sizeof names / sizeof *names ? names[kind] : NULL;
}

rmt_layout_disk_t *
rmt_layout_find_disk(const rmt_layout_t *self, const char *role)
{
    for (size_t i = 0; i < self->disk_count; i++)
        if (strcmp(self->disks[i].role, role) == 0)
            return &self->disks[i];
    return NULL;
}

rmt_layout_partition_t *
rmt_layout_find_partition(const rmt_layout_t *self, size_t disk, uint64_t number)
{
    for (size_t i = 0; i < self->partition_count; i++)
        if (self->partitions[i].disk == disk && self->partitions[i].number == number)
            return &self->partitions[i];
    return NULL;
}

const rmt_layout_partition_t *
rmt_layout_partition_of(const rmt_layout_t *self, const rmt_layout_volume_t *volume)
{
    return rmt_layout_find_partition(self, volume->disk, volume->partition);
}

const rmt_layout_volume_t *
rmt_layout_volume_of(const rmt_layout_t *self, const rmt_layout_swap_t *swap)
{
    for (size_t i = 0; i < self->volume_count; i++) {
        const rmt_layout_volume_t *volume = &self->volumes[i];
        const char *own = volume->subvolume, *other = swap->subvolume;
        const rmt_layout_volume_t place = {.disk = swap->disk,
                                           .partition = swap->partition,
                                           .logical = swap->logical,
                                           .array = swap->array};
        if (rmt_layout_is_beside(volume, &place) && !own == !other &&
            (!own || strcmp(own, other) == 0))
            return volume;
    }
    return NULL;
}

static rmt_layout_partition_t *
s_last(const rmt_layout_t *self, size_t disk, bool with_end)
{
    rmt_layout_partition_t *last = NULL;
    for (size_t i = 0; i < self->partition_count; i++) {
        rmt_layout_partition_t *partition = &self->partitions[i];
        if (partition->disk == disk && !rmt_layout_is_extended(partition) &&
            (with_end || !partition->at_end) &&
            (!last || rmt_layout_end(partition) > rmt_layout_end(last)))
            last = partition;
    }
    return last;
}

rmt_layout_partition_t *
rmt_layout_last(const rmt_layout_t *self, size_t disk)
{
    return s_last(self, disk, true);
}

rmt_layout_partition_t *
rmt_layout_growing(const rmt_layout_t *self, size_t disk)
{
    return s_last(self, disk, false);
}

uint64_t
rmt_layout_grown(const rmt_layout_t *self, const rmt_layout_partition_t *partition,
                 uint64_t sectors)
{
    const uint64_t sector = self->disks[partition->disk].sector;
    const uint64_t step = sector < UNIT ? UNIT / sector : 1;
    const uint64_t whole = sectors - sectors % step;
    const uint64_t least = partition->min_size ? partition->min_size : 1;
    const uint64_t own = partition->size;
    const bool is_less =
        (whole < least && least <= sectors) || (whole < own && own <= sectors);
    return is_less ? sectors : whole;
}

const rmt_layout_volume_t *
rmt_layout_root(const rmt_layout_t *self)
{
    for (size_t i = 0; i < self->volume_count; i++)
        if (self->volumes[i].mount && strcmp(self->volumes[i].mount, "/") == 0)
            return &self->volumes[i];
    return NULL;
}

uint64_t
rmt_layout_first_boot(const rmt_layout_t *self, const rmt_layout_volume_t *volume)
{
    static const char *const folders[] = {"/usr/lib/ramet", "/usr/lib", "/usr", "/"};
    for (size_t f = 0; f < sizeof folders / sizeof *folders; f++)
        for (size_t i = 0; i < self->volume_count; i++)
            if (self->volumes[i].mount && strcmp(self->volumes[i].mount, folders[f]) == 0)
                return &self->volumes[i] == volume ? RMT_LAYOUT_FIRST_BOOT : 0;
    return 0;
}

uint64_t
rmt_layout_end(const rmt_layout_partition_t *partition)
{
    return partition->start + partition->size;
}

bool
rmt_layout_is_extended(const rmt_layout_partition_t *partition)
{
    static const char *const types[] = {"05", "0f", "85", "5", "f"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcasecmp(partition->type, types[i]) == 0)
            return true;
    return false;
}

bool
rmt_layout_is_bios_boot(const rmt_layout_partition_t *partition)
{
    return strcasecmp(partition->type, TYPE_BIOS_BOOT) == 0;
}

bool
rmt_layout_needs_fuse(const rmt_layout_t *self)
{
    bool is_needed = self->array_count || self->crypt_count;
    for (size_t i = 0; i < self->logical_count; i++)
        is_needed = is_needed || rmt_layout_is_spread(self, &self->logicals[i]);
    return is_needed;
}

size_t
rmt_layout_firmware_partitions(
    const rmt_layout_t *self, const rmt_layout_volume_t *volume,
    const rmt_layout_partition_t *partitions[RMT_LAYOUT_MEMBERS_MAX])
{
    const rmt_layout_array_t *array = rmt_layout_array_of(self, volume);
    const rmt_layout_partition_t *partition = rmt_layout_partition_of(self, volume);
    size_t count = 0;
    if (partition)
        partitions[count++] = partition;
    for (size_t i = 0; array && array->level == 1 && i < self->member_count; i++) {
        const rmt_layout_member_t *member = &self->members[i];
        if (&self->arrays[member->array] != array || member->data_start != 0)
            continue;
        partition = rmt_layout_find_partition(self, member->disk, member->partition);
        if (partition && count < RMT_LAYOUT_MEMBERS_MAX)
            partitions[count++] = partition;
    }
    return count;
}

bool
rmt_layout_is_esp(const rmt_layout_t *self, const rmt_layout_volume_t *volume)
{
    const rmt_layout_partition_t *partitions[RMT_LAYOUT_MEMBERS_MAX];
    const size_t count = rmt_layout_firmware_partitions(self, volume, partitions);
    bool is_esp = false;
    for (size_t i = 0; i < count; i++)
        is_esp = is_esp || strcasecmp(partitions[i]->type, TYPE_ESP) == 0 ||
                 strcasecmp(partitions[i]->type, DOS_TYPE_ESP) == 0;
    return is_esp;
}

bool
rmt_layout_has_tree(const rmt_layout_volume_t *volume)
{
    return volume->has_root && volume->fs != RMT_FS_SWAP && volume->fs != RMT_FS_NONE;
}

uint64_t
rmt_layout_tail(const rmt_layout_disk_t *disk)
{
    if (disk->table != RMT_TABLE_GPT)
        return 0;
    const uint64_t entries = disk->entries ? disk->entries : GPT_ENTRIES;
    return 1 + (entries * GPT_ENTRY_SIZE + disk->sector - 1) / disk->sector;
}

uint64_t
rmt_layout_min_bytes(const rmt_layout_t *self, size_t index)
{
    assert(index < self->disk_count);
    const rmt_layout_disk_t *disk = &self->disks[index];
    const rmt_layout_partition_t *last = rmt_layout_last(self, index);
    const rmt_layout_partition_t *growing = rmt_layout_growing(self, index);
    if (!last)
        return disk->required_bytes ? disk->required_bytes : disk->bytes;
    uint64_t end = rmt_layout_end(last);
    if (disk->grow && growing && growing->min_size)
        end -= growing->size - growing->min_size;
    for (size_t i = 0; i < self->partition_count; i++) {
        const rmt_layout_partition_t *partition = &self->partitions[i];
        if (partition != growing && partition->disk == index && !partition->at_end &&
            !rmt_layout_is_extended(partition) && rmt_layout_end(partition) > end)
            end = rmt_layout_end(partition);
    }
    return (end + rmt_layout_tail(disk)) * disk->sector;
}
