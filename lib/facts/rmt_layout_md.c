// Arrays of md and their members.
#include "facts/rmt_layout.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <inttypes.h>
#include <string.h>

#define HEX "0123456789abcdef"
#define UUID_DIGITS 32
#define NAME_LENGTH 32 // Bytes of a superblock
#define SECTOR ((uint64_t) 512)
#define OLD_SLOTS_MAX 27 // Of metadata 0.90, which counts a size in KiB in 32 bits
#define OLD_SIZE_MAX ((uint64_t) UINT32_MAX * 1024)

// ---- Finding

rmt_layout_array_t *
rmt_layout_find_array(const rmt_layout_t *self, const char *uuid)
{
    for (size_t i = 0; i < self->array_count; i++)
        if (strcmp(self->arrays[i].uuid, uuid) == 0)
            return &self->arrays[i];
    return NULL;
}

rmt_layout_member_t *
rmt_layout_find_member(const rmt_layout_t *self, size_t disk, uint64_t partition)
{
    for (size_t i = 0; i < self->member_count; i++)
        if (self->members[i].disk == disk && self->members[i].partition == partition)
            return &self->members[i];
    return NULL;
}

const rmt_layout_array_t *
rmt_layout_array_of(const rmt_layout_t *self, const rmt_layout_volume_t *volume)
{
    return volume->array ? rmt_layout_find_array(self, volume->array) : NULL;
}

const char *
rmt_layout_array_below(const rmt_layout_t *self, const rmt_layout_volume_t *volume)
{
    const rmt_layout_logical_t *logical = rmt_layout_logical_of(self, volume);
    return volume->array ? volume->array : logical ? logical->array : "";
}

unsigned
rmt_layout_parity(const rmt_layout_array_t *array)
{
    return array->level == 6 ? 2 : array->level == 4 || array->level == 5;
}

// ---- Checking

static int
s_refuse(const rmt_layout_array_t *array, rmt_error_t *error, const char *what)
{
    return rmt_fail(error, RMT_E_USAGE, "the layout's array %.40s %s", array->uuid, what);
}

static bool
s_is_ten(const rmt_layout_array_t *array)
{
    const uint64_t near = array->layout & 0xff, far = array->layout >> 8 & 0xff;
    return near && far && (near == 1 || far == 1) && near * far <= array->slots &&
           (array->layout & ~(RMT_LAYOUT_OFFSET | 0xffff)) == 0;
}

static bool
s_has_known_layout(const rmt_layout_array_t *array)
{
    switch (array->level) {
    case 0:
        return array->layout <= 2;
    case 1:
    case 4:
        return true;
    case 5:
        return array->layout <= 5;
    case 6:
        return array->layout <= 5 || (array->layout >= 16 && array->layout <= 20);
    case 10:
        return s_is_ten(array);
    default:
        return false;
    }
}

static bool
s_has_known_metadata(const rmt_layout_array_t *array)
{
    static const char *const known[] = {"0.90", "1.0", "1.1", "1.2"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(array->metadata, known[i]) == 0)
            return true;
    return false;
}

// Chunks that a member has at least: each of its far copies lies in a part of its own.
static uint64_t
s_least_chunks(const rmt_layout_array_t *array)
{
    return array->level == 10 ? array->layout >> 8 & 0xff : array->level != 0;
}

static bool
s_is_too_big(const rmt_layout_array_t *array)
{
    return strcmp(array->metadata, "0.90") == 0 &&
           (array->slots > OLD_SLOTS_MAX || array->size > OLD_SIZE_MAX);
}

static int
s_check_array(const rmt_layout_t *self, const rmt_layout_array_t *array,
              rmt_error_t *error)
{
    if (strlen(array->uuid) != UUID_DIGITS || strspn(array->uuid, HEX) != UUID_DIGITS)
        return s_refuse(array, error, "has a uuid that is not 32 hexadecimal digits");
    if (rmt_layout_find_array(self, array->uuid) != array)
        return s_refuse(array, error, "is there twice");
    if (!s_has_known_metadata(array) ||
        (array->name && strlen(array->name) > NAME_LENGTH))
        return s_refuse(array, error,
                        "has metadata or a name that no superblock can have");
    if (!s_has_known_layout(array))
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "array %.40s has level %" PRIu64 " and layout %" PRIu64
                        ", which is not supported",
                        array->uuid, array->level, array->layout);
    if (array->slots <= rmt_layout_parity(array) || array->chunk % SECTOR ||
        (array->level != 1 && array->chunk == 0) || (array->level && array->size == 0) ||
        array->size < array->chunk * s_least_chunks(array) || s_is_too_big(array))
        return s_refuse(array, error, "has slots, chunks or a size that cannot be");
    return 0;
}

static int
s_check_member(const rmt_layout_t *self, const rmt_layout_member_t *member,
               rmt_error_t *error)
{
    const rmt_layout_array_t *array = &self->arrays[member->array];
    const rmt_layout_partition_t *partition =
        rmt_layout_find_partition(self, member->disk, member->partition);
    if (!partition || rmt_layout_is_extended(partition) ||
        rmt_layout_find_member(self, member->disk, member->partition) != member)
        return s_refuse(array, error,
                        "has a member in a partition that is not there, or in one twice");
    const uint64_t bytes = partition->size * self->disks[member->disk].sector;
    if (member->slot >= array->slots || member->data_start > bytes ||
        member->data_size > bytes - member->data_start ||
        array->size > member->data_size || member->data_size < array->chunk ||
        member->data_start % SECTOR || member->data_size % SECTOR)
        return s_refuse(array, error, "has a member whose data lies outside of it");
    for (const rmt_layout_member_t *other = self->members; other < member; other++)
        if (other->array == member->array && other->slot == member->slot)
            return s_refuse(array, error, "has two members in one slot");
    return 0;
}

// Chunks of the members that are striped without copies, which lie in zones where they
// are not equally many: how, only the layout tells.
static int
s_check_zones(const rmt_layout_t *self, size_t index, rmt_error_t *error)
{
    const rmt_layout_array_t *array = &self->arrays[index];
    const rmt_layout_member_t *first = NULL;
    for (size_t i = 0; i < self->member_count && array->level == 0; i++) {
        const rmt_layout_member_t *member = &self->members[i];
        if (member->array != index)
            continue;
        if (first && array->layout == 0 &&
            first->data_size / array->chunk != member->data_size / array->chunk)
            return rmt_fail(error, RMT_E_UNSUPPORTED,
                            "array %.40s has members of different sizes, and its "
                            "superblocks do not say how these are striped; write it "
                            "with mdadm --assemble --update=layout-alternate or "
                            "layout-original",
                            array->uuid);
        first = first ? first : member;
    }
    return 0;
}

int
rmt_layout_check_arrays(const rmt_layout_t *self, rmt_error_t *error)
{
    for (size_t i = 0; i < self->array_count; i++) {
        size_t count = 0;
        for (size_t j = 0; j < self->member_count; j++)
            count += self->members[j].array == i;
        if (s_check_array(self, &self->arrays[i], error) == -1)
            return -1;
        if (count != self->arrays[i].slots)
            return s_refuse(&self->arrays[i], error, "has not as many members as slots");
    }
    for (size_t i = 0; i < self->member_count; i++)
        if (s_check_member(self, &self->members[i], error) == -1)
            return -1;
    for (size_t i = 0; i < self->array_count; i++)
        if (s_check_zones(self, i, error) == -1)
            return -1;
    return 0;
}
