#include "disk/rmt_array.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_grow.h"
#include "base/rmt_io.h"
#include "base/rmt_random.h"
#include "disk/rmt_md.h"
#include "disk/rmt_wipe.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What a mirror of another size is a multiple of.
#define MIRROR_STEP ((uint64_t) 64 * 1024)
// What metadata 0.90 can say of the size of each member, in KiB of 32 bits.
#define OLD_SIZE_MAX ((uint64_t) UINT32_MAX * 1024)

typedef struct {
    size_t disk;
    uint64_t partition;
    rmt_md_t md;
    bool is_old;
    size_t index; // In the layout, once it is there
} found_t;

struct rmt_arrays {
    found_t *found;
    size_t count;
    bool is_running;
};

rmt_arrays_t *
rmt_arrays_new(void)
{
    rmt_arrays_t *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    return self;
}

void
rmt_arrays_destroy(rmt_arrays_t **self_p)
{
    assert(self_p);
    rmt_arrays_t *self = *self_p;
    if (!self)
        return;
    free(self->found);
    free(self);
    *self_p = NULL;
}

void
rmt_arrays_set_running(rmt_arrays_t *self)
{
    self->is_running = true;
}

int
rmt_arrays_add(rmt_arrays_t *self, size_t disk, uint64_t partition, int fd,
               uint64_t bytes, rmt_error_t *error)
{
    rmt_md_t md;
    if (rmt_md_read(fd, 0, bytes, &md, error) == -1)
        return -1;
    rmt_grow_one(&self->found, self->count);
    self->found[self->count++] =
        (found_t){.disk = disk, .partition = partition, .md = md, .index = SIZE_MAX};
    return 0;
}

// ---- From superblocks into a layout

// One array on its way there: its members that were found, by slot.
typedef struct {
    rmt_arrays_t *arrays;
    rmt_layout_t *layout;
    rmt_records_t *told;
    const rmt_md_t *newest;
    found_t *members[RMT_MD_MEMBERS_MAX];
    bool has_replaced; // An older member whose place a newer one has
    rmt_error_t *error;
} reading_t;

// "array host:0 (8c1f...)"
static char *
s_words(const rmt_md_array_t *array)
{
    char uuid[RMT_MD_UUID_SIZE];
    rmt_md_show_uuid(array->uuid, uuid);
    return *array->name ? rmt_text("array %s (%s)", array->name, uuid)
                        : rmt_text("array %s", uuid);
}

static int
s_refuse(const reading_t *self, const char *what, const char *remedy)
{
    rmt_auto_str words = s_words(&self->newest->array);
    return rmt_fail(self->error, RMT_E_UNSUPPORTED, "%s %s; %s", words, what, remedy);
}

static void
s_tell(const reading_t *self, const char *reason)
{
    rmt_auto_str words = s_words(&self->newest->array);
    rmt_record_t *told = rmt_records_add(self->told);
    rmt_record_set(told, "path", words);
    rmt_record_set(told, "reason", reason);
}

static bool
s_is_of(const found_t *found, const rmt_md_t *md)
{
    return memcmp(found->md.array.uuid, md->array.uuid, sizeof md->array.uuid) == 0;
}

static const rmt_md_t *
s_find_newest(const rmt_arrays_t *self, const rmt_md_t *md)
{
    const rmt_md_t *newest = md;
    for (size_t i = 0; i < self->count; i++)
        if (s_is_of(&self->found[i], md) &&
            self->found[i].md.array.events > newest->array.events)
            newest = &self->found[i].md;
    return newest;
}

// A crash may come between two superblocks of one change; more than that is another time.
static bool
s_is_outdated(const found_t *found, const rmt_md_t *newest)
{
    return found->md.array.events + 1 < newest->array.events || found->md.is_partial ||
           found->md.number >= RMT_MD_MEMBERS_MAX ||
           newest->slots[found->md.number] != found->md.slot;
}

// A superblock may say anything: what members share is compared, not believed.
static bool
s_is_alike(const rmt_md_array_t *one, const rmt_md_array_t *two)
{
    return one->version == two->version && one->level == two->level &&
           one->layout == two->layout && one->chunk == two->chunk &&
           one->count == two->count;
}

// Where the slot of a member that its array has thrown out was is told by itself alone.
static int
s_take_members(reading_t *self)
{
    for (size_t i = 0; i < self->arrays->count; i++) {
        found_t *found = &self->arrays->found[i];
        if (!s_is_of(found, self->newest))
            continue;
        if (!s_is_alike(&found->md.array, &self->newest->array))
            return s_refuse(self,
                            "has a member of another version, level, layout, chunk or "
                            "number of members",
                            "take its disk out of the source");
        if (found->md.slot >= self->newest->array.count)
            continue;
        found->is_old = !self->arrays->is_running && s_is_outdated(found, self->newest);
        found_t **slot = &self->members[found->md.slot];
        self->has_replaced = self->has_replaced || *slot;
        if (*slot && !found->is_old && !(*slot)->is_old)
            return s_refuse(self, "has two members for one place",
                            "take one of the disks out of the source");
        if (!*slot || (*slot)->is_old)
            *slot = found;
    }
    return 0;
}

// Copies or parity, by which it does without a member.
static bool
s_has_copies(const rmt_md_array_t *array)
{
    return array->level == 10 ? (array->layout & 0xff) * (array->layout >> 8 & 0xff) > 1
                              : array->level > 0;
}

// A member that is old is as if it were missing: the others must do without it.
static int
s_check_members(const reading_t *self)
{
    const rmt_md_array_t *array = &self->newest->array;
    uint32_t old = 0, missing = 0;
    for (uint32_t i = 0; i < array->count; i++) {
        missing += !self->members[i];
        old += self->members[i] && self->members[i]->is_old;
    }
    if (missing)
        return s_refuse(self, "lacks a member, which is missing on the imaged disks",
                        "name its disk in the setting further-disks of the source, or "
                        "bring the array back to full strength with mdadm --add");
    if (old && !s_has_copies(array))
        return s_refuse(self,
                        "has a member that is older than the others, and no copy of it",
                        "start it with mdadm --assemble --force, check its file system, "
                        "and stop it");
    if (old == 0 && !self->has_replaced)
        return 0;
    const bool is_mirror = array->level == 1;
    if (is_mirror ? old == array->count : old > 1)
        return s_refuse(self, "has too many members that are older than the others",
                        "start it, and wait until mdadm --wait ends");
    if (old && !is_mirror && array->sync != RMT_MD_IN_SYNC)
        return s_refuse(self,
                        "was not cleanly stopped, and has a member that is older than "
                        "the others",
                        "start it, and wait until mdadm --wait ends");
    s_tell(self, "a member is older than the others, and was not read");
    return 0;
}

static int
s_check_kind(const reading_t *self)
{
    const rmt_md_array_t *array = &self->newest->array;
    if (array->level < 0)
        return s_refuse(self, "is of level linear or of another one without a number",
                        "move its files to a file system of another array, or to a "
                        "logical volume");
    for (size_t i = 0; i < self->arrays->count; i++) {
        const found_t *found = &self->arrays->found[i];
        if (s_is_of(found, self->newest) && found->md.slot == RMT_MD_SLOT_SPARE &&
            !found->is_old && found->index == SIZE_MAX)
            return s_refuse(self, "has a spare, which is not supported",
                            "take it out with mdadm --remove, and clear it with mdadm "
                            "--zero-superblock");
    }
    if (array->sync != RMT_MD_IN_SYNC && !self->arrays->is_running)
        s_tell(self,
               array->level == 1 || array->level == 10
                   ? "not cleanly stopped: its first copy was read, as at the "
                     "next start"
                   : "not cleanly stopped: a target makes its parity at its first start");
    return 0;
}

static void
s_put_uuid(const rmt_md_array_t *array, char out[RMT_LAYOUT_GUID_SIZE])
{
    for (size_t i = 0; i < sizeof array->uuid; i++)
        snprintf(out + i * 2, 3, "%02x", array->uuid[i]);
}

static int
s_add_array(const reading_t *self)
{
    const rmt_md_array_t *array = &self->newest->array;
    char uuid[RMT_LAYOUT_GUID_SIZE];
    if (self->layout->array_count == RMT_LAYOUT_ARRAYS_MAX ||
        self->layout->member_count + array->count > RMT_LAYOUT_MEMBERS_MAX)
        return s_refuse(self, "is one too many", "ramet carries 64 arrays");
    s_put_uuid(array, uuid);
    const size_t index = self->layout->array_count;
    rmt_layout_array_t *added = rmt_layout_add_array(self->layout, uuid);
    added->name = *array->name ? rmt_text("%s", array->name) : NULL;
    added->metadata = rmt_text("%s", rmt_md_version_name(array->version));
    added->minor = array->minor;
    added->level = (uint64_t) array->level;
    added->layout = array->level == 1 || array->level == 4 ? 0 : array->layout;
    added->chunk = array->level == 1 ? 0 : array->chunk;
    added->slots = array->count;
    added->size = array->level == 0 ? 0 : array->size;
    for (uint32_t i = 0; i < array->count; i++) {
        found_t *found = self->members[i];
        found->index = self->layout->member_count;
        rmt_layout_member_t *member = rmt_layout_add_member(self->layout, found->disk);
        member->array = index;
        member->partition = found->partition;
        member->slot = i;
        member->data_start = found->md.data_start;
        member->data_size = found->md.data_size;
    }
    return 0;
}

int
rmt_arrays_finish(rmt_arrays_t *self, rmt_layout_t *layout, rmt_records_t *told,
                  rmt_error_t *error)
{
    for (size_t i = 0; i < self->count; i++) {
        if (self->found[i].index != SIZE_MAX || self->found[i].is_old)
            continue;
        reading_t reading = {.arrays = self,
                             .layout = layout,
                             .told = told,
                             .newest = s_find_newest(self, &self->found[i].md),
                             .error = error};
        if (s_take_members(&reading) == -1 || s_check_members(&reading) == -1 ||
            s_check_kind(&reading) == -1 || s_add_array(&reading) == -1)
            return -1;
    }
    return 0;
}

bool
rmt_arrays_is_old(const rmt_arrays_t *self, size_t member)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->found[i].index == member)
            return self->found[i].is_old;
    return false;
}

// ---- Sizes

// An array on its members' partitions, by slot.
typedef struct {
    const rmt_layout_array_t *array;
    rmt_md_version_t version;
    uint64_t size; // Of each member; level 0: of the smallest
    size_t count;
    uint64_t sizes[RMT_MD_MEMBERS_MAX];
    uint64_t starts[RMT_MD_MEMBERS_MAX]; // From the start of the partition
    rmt_array_place_t places[RMT_MD_MEMBERS_MAX];
} shape_t;

static rmt_md_version_t
s_version(const rmt_layout_array_t *array)
{
    rmt_md_version_t version = RMT_MD_0_90;
    while (strcmp(rmt_md_version_name(version), array->metadata) != 0)
        version++;
    return version;
}

// More or less than in the layout, both ways without an overflow. 0: nothing is left.
static uint64_t
s_moved(uint64_t size, uint64_t before, uint64_t now)
{
    if (now >= before)
        return size + (now - before);
    return size > before - now ? size - (before - now) : 0;
}

static uint64_t
s_partition_bytes(const rmt_layout_t *layout, const rmt_layout_member_t *member)
{
    const rmt_layout_partition_t *partition =
        rmt_layout_find_partition(layout, member->disk, member->partition);
    return partition->size * layout->disks[member->disk].sector;
}

static uint64_t
s_round(const rmt_layout_array_t *array, uint64_t size)
{
    const uint64_t step = array->chunk ? array->chunk : MIRROR_STEP;
    return size / step * step;
}

static bool
s_shape(const rmt_layout_t *layout, size_t index, const rmt_array_place_t *places,
        shape_t *shape)
{
    const rmt_layout_array_t *array = &layout->arrays[index];
    *shape = (shape_t){.array = array,
                       .version = s_version(array),
                       .size = UINT64_MAX,
                       .count = (size_t) array->slots};
    bool is_moved = false;
    for (size_t i = 0; i < layout->member_count; i++) {
        const rmt_layout_member_t *member = &layout->members[i];
        if (member->array != index)
            continue;
        const uint64_t before = s_partition_bytes(layout, member);
        const uint64_t space =
            rmt_md_space(shape->version, places[i].bytes, member->data_start);
        uint64_t size = s_moved(member->data_size, before, places[i].bytes);
        if (size > space)
            size = space;
        uint64_t own =
            array->level ? s_moved(array->size, before, places[i].bytes) : size;
        if (own > size)
            own = size;
        if (array->level && shape->version == RMT_MD_0_90 && own > OLD_SIZE_MAX)
            own = OLD_SIZE_MAX;
        is_moved = is_moved || places[i].bytes != before;
        shape->size = own < shape->size ? own : shape->size;
        shape->sizes[member->slot] = size;
        shape->starts[member->slot] = member->data_start;
        shape->places[member->slot] = places[i];
    }
    if (is_moved || array->chunk)
        shape->size = s_round(array, shape->size);
    return shape->size > 0;
}

// Data that level 10 has in one member, in chunks of the array.
static uint64_t
s_ten_chunks(const shape_t *shape)
{
    const uint64_t near = shape->array->layout & 0xff,
                   far = shape->array->layout >> 8 & 0xff;
    return shape->size / shape->array->chunk / far * shape->count / near;
}

uint64_t
rmt_array_bytes(const rmt_layout_t *layout, size_t index, const rmt_array_place_t *places)
{
    shape_t shape;
    uint64_t bytes = 0;
    if (!s_shape(layout, index, places, &shape))
        return 0;
    switch (shape.array->level) {
    case 0:
        for (size_t i = 0; i < shape.count; i++)
            bytes += s_round(shape.array, shape.sizes[i]);
        return bytes;
    case 1:
        return shape.size;
    case 10:
        return s_ten_chunks(&shape) * shape.array->chunk;
    default:
        return shape.size * (shape.count - rmt_layout_parity(shape.array));
    }
}

// ---- The mapping

// Members of different sizes are striped in zones: over all, over all but the smallest,
// and so on. An old kernel goes on counting members where the zone before has ended.
static void
s_map_zones(const shape_t *shape, rmt_mapping_t *mapping)
{
    const uint64_t chunk = shape->array->chunk;
    uint64_t at = 0, next;
    do {
        rmt_mapping_member_t members[RMT_MD_MEMBERS_MAX], turned[RMT_MD_MEMBERS_MAX];
        size_t count = 0;
        next = UINT64_MAX;
        for (size_t i = 0; i < shape->count; i++) {
            const uint64_t size = s_round(shape->array, shape->sizes[i]);
            if (size <= at)
                continue;
            next = size < next ? size : next;
            members[count++] = (rmt_mapping_member_t){
                shape->places[i].fd, shape->places[i].offset + shape->starts[i] + at};
        }
        if (count == 0)
            return;
        const size_t turn = shape->array->layout == 1
                                ? (size_t) (rmt_mapping_size(mapping) / chunk % count)
                                : 0;
        for (size_t i = 0; i < count; i++)
            turned[i] = members[(i + turn) % count];
        const rmt_mapping_segment_t zone = {.size = (next - at) * count,
                                            .chunk = chunk,
                                            .near = 1,
                                            .far = 1,
                                            .members = turned,
                                            .count = count};
        rmt_mapping_add(mapping, &zone);
        at = next;
    } while (true);
}

static void
s_set_ten(const shape_t *shape, rmt_mapping_segment_t *segment)
{
    const uint64_t layout = shape->array->layout, chunk = shape->array->chunk;
    segment->near = (unsigned) (layout & 0xff);
    segment->far = (unsigned) (layout >> 8 & 0xff);
    segment->is_offset = layout & RMT_LAYOUT_OFFSET;
    const uint64_t copies = s_ten_chunks(shape) * segment->near * segment->far;
    const uint64_t each = (copies + shape->count - 1) / shape->count;
    segment->stride = segment->is_offset ? chunk : each / segment->far * chunk;
}

rmt_mapping_t *
rmt_array_map(const rmt_layout_t *layout, size_t index, const rmt_array_place_t *places)
{
    shape_t shape;
    rmt_mapping_member_t members[RMT_MD_MEMBERS_MAX];
    rmt_mapping_t *mapping = rmt_mapping_new();
    const bool has_space = s_shape(layout, index, places, &shape);
    assert(has_space);
    if (shape.array->level == 0) {
        s_map_zones(&shape, mapping);
        return mapping;
    }
    for (size_t i = 0; i < shape.count; i++)
        members[i] = (rmt_mapping_member_t){shape.places[i].fd,
                                            shape.places[i].offset + shape.starts[i]};
    rmt_mapping_segment_t segment = {.size = rmt_array_bytes(layout, index, places),
                                     .chunk = shape.array->chunk,
                                     .parity = rmt_layout_parity(shape.array),
                                     .layout = (rmt_parity_layout_t) shape.array->layout,
                                     .near = 1,
                                     .far = 1,
                                     .members = members,
                                     .count = shape.count};
    if (shape.array->level == 1) {
        segment.chunk = segment.size;
        segment.near = (unsigned) shape.count;
    } else if (shape.array->level == 4) {
        segment.layout = RMT_PARITY_LAST;
    } else if (shape.array->level == 10) {
        s_set_ten(&shape, &segment);
    }
    rmt_mapping_add(mapping, &segment);
    return mapping;
}

// ---- Superblocks

static void
s_get_uuid(const char *text, uint8_t out[16])
{
    for (size_t i = 0; i < 16; i++) {
        const char digits[] = {text[2 * i], text[2 * i + 1], '\0'};
        out[i] = (uint8_t) strtoul(digits, NULL, 16);
    }
}

static rmt_md_array_t
s_super_of(const shape_t *shape)
{
    const rmt_layout_array_t *array = shape->array;
    const uint64_t now = (uint64_t) (rmt_clock_wall_ms() / 1000);
    rmt_md_array_t super = {.version = shape->version,
                            .minor = (uint32_t) array->minor,
                            .level = (int32_t) array->level,
                            .layout = (uint32_t) array->layout,
                            .chunk = array->chunk,
                            .count = (uint32_t) array->slots,
                            .size = array->level ? shape->size : 0,
                            .created = now,
                            .updated = now,
                            .events = 1,
                            .sync = rmt_layout_parity(array) ? 0 : RMT_MD_IN_SYNC};
    s_get_uuid(array->uuid, super.uuid);
    snprintf(super.name, sizeof super.name, "%s", array->name ? array->name : "");
    return super;
}

int
rmt_array_write(const rmt_layout_t *layout, size_t index, const rmt_array_place_t *places,
                rmt_error_t *error)
{
    shape_t shape;
    const bool has_space = s_shape(layout, index, places, &shape);
    assert(has_space);
    rmt_md_t md = {.array = s_super_of(&shape)};
    for (size_t i = 0; i < RMT_MD_MEMBERS_MAX; i++)
        md.slots[i] = i < shape.count ? (uint16_t) i : RMT_MD_SLOT_SPARE;
    for (size_t i = 0; i < shape.count; i++) {
        md.number = md.slot = (uint32_t) i;
        md.data_start = shape.starts[i];
        md.data_size = shape.sizes[i];
        rmt_random_bytes(md.uuid, sizeof md.uuid);
        // What an older layout has left at its ends would count too.
        const rmt_range_t range = {shape.places[i].offset, shape.places[i].bytes};
        if (rmt_wipe_range(shape.places[i].fd, "a member", &range, error) == -1 ||
            rmt_md_write(shape.places[i].fd, shape.places[i].offset,
                         shape.places[i].bytes, &md, error) == -1)
            return rmt_wrap(error, "member %zu of array %s", i,
                            layout->arrays[index].uuid);
    }
    return 0;
}
