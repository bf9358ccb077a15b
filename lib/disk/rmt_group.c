#include "disk/rmt_group.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "base/rmt_io.h"
#include "disk/rmt_lvm_text.h"
#include "disk/rmt_pv.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    size_t disk;
    uint64_t partition, bytes;
    char array[RMT_LAYOUT_GUID_SIZE]; // "": it lies on no array
    rmt_pv_t pv;
} member_t;

struct rmt_groups {
    member_t *members;
    size_t count;
};

// One group on its way into the layout.
typedef struct {
    const rmt_groups_t *groups;
    const rmt_lvm_node_t *node;
    rmt_layout_t *layout;
    size_t group; // Index
    rmt_error_t *error;
} reading_t;

rmt_groups_t *
rmt_groups_new(void)
{
    rmt_groups_t *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    return self;
}

void
rmt_groups_destroy(rmt_groups_t **self_p)
{
    assert(self_p);
    rmt_groups_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        rmt_pv_clear(&self->members[i].pv);
    free(self->members);
    free(self);
    *self_p = NULL;
}

int
rmt_groups_add(rmt_groups_t *self, const rmt_group_place_t *place, int fd,
               rmt_error_t *error)
{
    assert(self);
    rmt_pv_t pv;
    if (rmt_pv_read(fd, 0, &pv, error) == -1)
        return -1;
    rmt_grow_one(&self->members, self->count);
    member_t *member = &self->members[self->count++];
    *member = (member_t){.disk = place->disk,
                         .partition = place->partition,
                         .bytes = place->partition ? 0 : place->bytes,
                         .pv = pv};
    snprintf(member->array, sizeof member->array, "%s", place->array ? place->array : "");
    return 0;
}

// ---- What is refused

static int
s_refuse(const reading_t *self, const char *name, const char *what, const char *remedy)
{
    return rmt_fail(self->error, RMT_E_UNSUPPORTED,
                    "volume group %.100s: %.120s %s, which is not supported; %s",
                    self->node->name, name, what, remedy);
}

// A part of the description that would be lost on a copy, or that says what this version
// does not know.
static int
s_check_fields(const reading_t *self, const rmt_lvm_node_t *node, const char *what,
               const char *const *known)
{
    for (size_t i = 0; i < node->node_count; i++) {
        const rmt_lvm_node_t *field = &node->nodes[i];
        bool is_known = strcmp(field->name, "flags") == 0 && field->value_count == 0;
        for (size_t j = 0; known[j] && !is_known; j++)
            is_known = strcmp(known[j], field->name) == 0;
        if (is_known || strncmp(field->name, "segment", 7) == 0)
            continue;
        rmt_auto_str has = rmt_text("has %.60s '%.60s'", field->name,
                                    field->value_count ? field->values[0] : "");
        return s_refuse(self, what, has,
                        "take that away with vgchange, lvchange or pvchange");
    }
    return 0;
}

// A word of a status that no plain group or volume has.
static int
s_check_status(const reading_t *self, const rmt_lvm_node_t *node, const char *what)
{
    static const char *const plain[] = {"RESIZEABLE", "READ",        "WRITE",
                                        "VISIBLE",    "ALLOCATABLE", NULL};
    const rmt_lvm_node_t *status = rmt_lvm_node_find(node, "status");
    for (size_t i = 0; status && i < status->value_count; i++) {
        size_t j = 0;
        while (plain[j] && strcmp(plain[j], status->values[i]) != 0)
            j++;
        if (plain[j])
            continue;
        rmt_auto_str is = rmt_text("is %.60s", status->values[i]);
        return s_refuse(self, what, is, "see vgs, pvs and lvs for what it is part of");
    }
    return 0;
}

static int
s_refuse_kind(const reading_t *self, const char *what, const char *kind)
{
    static const struct {
        const char *kind, *words, *remedy;
    } rows[] = {
        {"thin-pool", "is a thin pool",
         "move its files to a linear volume (lvcreate -L SIZE -n NAME GROUP)"},
        {"thin", "is a thin volume",
         "move its files to a linear volume (lvcreate -L SIZE -n NAME GROUP)"},
        {"snapshot", "is a snapshot", "remove it with lvremove"},
        {"mirror", "is mirrored by an old kind",
         "make it another one with lvconvert --type raid1"},
        {"raid", "is a RAID", "move its files to a linear volume"},
        {"cache", "is a cache", "take the cache away with lvconvert --uncache"},
        {"writecache", "is a cache", "take the cache away with lvconvert --uncache"},
        {"vdo", "is a VDO volume", "move its files to a linear volume"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strncmp(kind, rows[i].kind, strlen(rows[i].kind)) == 0)
            return s_refuse(self, what, rows[i].words, rows[i].remedy);
    rmt_auto_str is = rmt_text("is of kind '%.40s'", kind);
    return s_refuse(self, what, is, "move its files to a linear volume");
}

// ---- Physical volumes

static const member_t *
s_find_member(const rmt_groups_t *self, const char *uuid)
{
    for (size_t i = 0; i < self->count; i++)
        if (strcmp(self->members[i].pv.uuid, uuid) == 0)
            return &self->members[i];
    return NULL;
}

static int
s_copy(const reading_t *self, char out[RMT_LAYOUT_LVM_SIZE], const char *text)
{
    if (strlen(text) >= RMT_LAYOUT_LVM_SIZE)
        return rmt_fail(self->error, RMT_E_CORRUPT,
                        "the description of a volume group has a name that is too long");
    strcpy(out, text);
    return 0;
}

static int
s_read_physical(const reading_t *self, const rmt_lvm_node_t *node)
{
    static const char *const known[] = {
        "id",       "device",   "device_id", "device_id_type", "status", "dev_size",
        "pe_start", "pe_count", NULL};
    const char *uuid = rmt_lvm_node_text(node, "id");
    const member_t *member = s_find_member(self->groups, uuid);
    rmt_auto_str what = rmt_text("physical volume %.60s", uuid);
    if (!member)
        return s_refuse(self, what, "is missing on the imaged disks",
                        "name its disk in the setting further-disks of the source, or "
                        "move all that lies on it with pvmove and take it out with "
                        "vgreduce");
    if (s_check_fields(self, node, what, known) == -1 ||
        s_check_status(self, node, what) == -1)
        return -1;
    if (self->layout->physical_count == RMT_LAYOUT_PHYSICALS_MAX)
        return rmt_fail(self->error, RMT_E_TOO_BIG,
                        "there are more than %d physical volumes",
                        RMT_LAYOUT_PHYSICALS_MAX);
    rmt_layout_physical_t *physical = rmt_layout_add_physical(self->layout, member->disk);
    physical->group = self->group;
    physical->partition = member->partition;
    physical->bytes = member->bytes;
    strcpy(physical->array, member->array);
    physical->data_start = rmt_lvm_node_number(node, "pe_start", 0) * RMT_LVM_SECTOR;
    physical->extents = rmt_lvm_node_number(node, "pe_count", 0);
    return s_copy(self, physical->uuid, uuid);
}

// The physical volume that a segment names, such as "pv0", or NULL.
static const member_t *
s_member_of(const reading_t *self, const char *name, uint64_t *extents_out)
{
    const rmt_lvm_node_t *all = rmt_lvm_node_find(self->node, "physical_volumes");
    const rmt_lvm_node_t *node = rmt_lvm_node_find(all, name);
    *extents_out = rmt_lvm_node_number(node, "pe_count", 0);
    return s_find_member(self->groups, rmt_lvm_node_text(node, "id"));
}

// ---- Logical volumes

static const char *const s_logical_fields[] = {
    "id", "status", "creation_time", "creation_host", "segment_count", NULL};

// A logical volume on its way into the layout, behind its pieces.
typedef struct {
    const char *what; // For people
    size_t index;
    uint64_t extents; // Of its segments so far
    uint64_t segment; // Number of the last one
    const char *raid; // NULL: none
    uint64_t region;
} parts_t;

static int
s_refuse_place(const reading_t *self, const parts_t *parts, const char *words)
{
    return rmt_fail(self->error, RMT_E_CORRUPT, "volume group %.100s: %s %s",
                    self->node->name, parts->what, words);
}

// values: the name of a physical volume, and the first extent. piece: of which extents
// and chunk are known.
static int
s_find_stripe(const reading_t *self, const parts_t *parts, char *const values[2],
              rmt_layout_piece_t *piece)
{
    uint64_t all = 0;
    const member_t *member = s_member_of(self, values[0], &all);
    if (!member)
        return s_refuse_place(self, parts, "lies on a physical volume that is not there");
    piece->first = strtoull(values[1], NULL, 10);
    if (piece->first > all || piece->extents > all - piece->first)
        return s_refuse_place(self, parts, "lies behind the end of its physical volume");
    piece->logical = parts->index;
    piece->disk = member->disk;
    piece->partition = member->partition;
    strcpy(piece->array, member->array);
    piece->segment = parts->segment;
    return 0;
}

// A range that begins where the last piece ends makes that longer.
static int
s_add_piece(const reading_t *self, const rmt_layout_piece_t *piece)
{
    rmt_layout_t *layout = self->layout;
    rmt_layout_piece_t *last =
        layout->piece_count ? &layout->pieces[layout->piece_count - 1] : NULL;
    if (last && last->logical == piece->logical && !last->chunk && !piece->chunk &&
        !*piece->uuid && last->disk == piece->disk &&
        last->partition == piece->partition && strcmp(last->array, piece->array) == 0 &&
        last->first + last->extents == piece->first) {
        last->extents += piece->extents;
        return 0;
    }
    if (layout->piece_count == RMT_LAYOUT_PIECES_MAX)
        return rmt_fail(self->error, RMT_E_TOO_BIG,
                        "the logical volumes lie in more than %d pieces",
                        RMT_LAYOUT_PIECES_MAX);
    *rmt_layout_add_piece(layout, piece->logical) = *piece;
    return 0;
}

// ---- Legs of RAID, which are volumes of their own

// A volume that only another one shows.
static bool
s_is_hidden(const rmt_lvm_node_t *node)
{
    return rmt_lvm_node_find(node, "status") &&
           !rmt_lvm_node_lists(node, "status", "VISIBLE");
}

// The one range of a part: its volume, of which the piece gets place and uuid.
static int
s_read_part(const reading_t *self, const parts_t *parts, const char *name,
            rmt_layout_piece_t *piece)
{
    const rmt_lvm_node_t *node =
        rmt_lvm_node_find(rmt_lvm_node_find(self->node, "logical_volumes"), name);
    const rmt_lvm_node_t *segment = rmt_lvm_node_find(node, "segment1");
    const rmt_lvm_node_t *stripes = rmt_lvm_node_find(segment, "stripes");
    rmt_auto_str what = rmt_text("logical volume %.127s", name);
    if (!node || !s_is_hidden(node) || !segment)
        return s_refuse_place(self, parts, "has a leg that is not there");
    if (s_check_fields(self, node, what, s_logical_fields) == -1 ||
        s_check_status(self, node, what) == -1)
        return -1;
    if (rmt_lvm_node_number(node, "segment_count", 1) != 1 ||
        strcmp(rmt_lvm_node_text(segment, "type"), "striped") != 0 || !stripes ||
        rmt_lvm_node_number(segment, "stripe_count", 0) != 1)
        return s_refuse(self, what, "lies in several pieces",
                        "move it to another physical volume with pvmove -n");
    piece->extents = rmt_lvm_node_number(segment, "extent_count", 0);
    if (stripes->value_count != 2 || piece->extents == 0 || piece->extents > UINT32_MAX)
        return s_refuse_place(self, parts, "has a leg without its place");
    return s_find_stripe(self, parts, stripes->values, piece) == -1 ||
                   s_copy(self, piece->uuid, rmt_lvm_node_text(node, "id")) == -1
               ? -1
               : 0;
}

// names: of the volume with the data about a leg, and of the leg.
static int
s_read_leg(const reading_t *self, const parts_t *parts, char *const names[2],
           uint64_t chunk)
{
    rmt_layout_piece_t leg = {.extents = 0}, meta = leg;
    if (s_read_part(self, parts, names[0], &meta) == -1 ||
        s_read_part(self, parts, names[1], &leg) == -1)
        return -1;
    rmt_auto_str what = rmt_text("logical volume %.127s", names[1]);
    if (meta.disk != leg.disk || meta.partition != leg.partition ||
        strcmp(meta.array, leg.array) != 0)
        return s_refuse(self, what, "lies on another physical volume than its rmeta",
                        "move one of them with pvmove -n");
    leg.chunk = chunk;
    leg.meta_extents = meta.extents;
    leg.meta_first = meta.first;
    memcpy(leg.meta_uuid, meta.uuid, sizeof meta.uuid);
    return s_add_piece(self, &leg);
}

// All of a volume is one segment.
static int
s_read_raid(const reading_t *self, const rmt_lvm_node_t *node,
            const rmt_layout_raid_t *raid, parts_t *parts)
{
    static const char *const known[] = {"start_extent", "extent_count", "type",
                                        "device_count", "region_size",  "stripe_size",
                                        "data_copies",  "raids",        NULL};
    const rmt_lvm_node_t *legs = rmt_lvm_node_find(node, "raids");
    const uint64_t count = rmt_lvm_node_number(node, "device_count", 0);
    const uint64_t chunk =
        raid->copies ? rmt_lvm_node_number(node, "stripe_size", 0) * RMT_LVM_SECTOR : 0;
    if (s_check_fields(self, node, parts->what, known) == -1)
        return -1;
    if (!legs || legs->value_count % 2 || legs->value_count / 2 != count || count == 0 ||
        parts->extents || rmt_lvm_node_number(node, "start_extent", 0) != 0)
        return s_refuse_place(self, parts, "has legs that do not fit it");
    parts->raid = raid->name;
    parts->region = rmt_lvm_node_number(node, "region_size", 0) * RMT_LVM_SECTOR;
    parts->segment = 1;
    for (size_t i = 0; i < count; i++)
        if (s_read_leg(self, parts, &legs->values[2 * i], chunk) == -1)
            return -1;
    const rmt_layout_piece_t *last = &self->layout->pieces[self->layout->piece_count - 1];
    parts->extents = rmt_layout_raid_extents(raid, count, last->extents);
    return parts->extents == rmt_lvm_node_number(node, "extent_count", 0) &&
                   parts->extents
               ? 0
               : s_refuse_place(self, parts, "has legs that do not fit it");
}

// ---- Segments

// One stripe is a linear range.
static int
s_read_segment(const reading_t *self, const rmt_lvm_node_t *node, parts_t *parts)
{
    const char *kind = rmt_lvm_node_text(node, "type");
    const rmt_lvm_node_t *stripes = rmt_lvm_node_find(node, "stripes");
    const uint64_t extents = rmt_lvm_node_number(node, "extent_count", 0);
    const uint64_t count = rmt_lvm_node_number(node, "stripe_count", 0);
    const rmt_layout_raid_t *raid = rmt_layout_find_raid(kind);
    if (raid)
        return s_read_raid(self, node, raid, parts);
    if (strcmp(kind, "striped") != 0 || parts->raid)
        return s_refuse_kind(self, parts->what, kind);
    if (!stripes || count == 0 || stripes->value_count % 2 ||
        stripes->value_count / 2 != count || extents == 0 || extents > UINT32_MAX ||
        extents % count || rmt_lvm_node_number(node, "start_extent", 0) != parts->extents)
        return s_refuse_place(self, parts, "has a segment without its place");
    const uint64_t chunk = rmt_lvm_node_number(node, "stripe_size", 0);
    if (count > 1 && (chunk == 0 || chunk > UINT32_MAX))
        return s_refuse_place(self, parts, "has stripes without a size");
    parts->segment++;
    for (size_t i = 0; i < count; i++) {
        rmt_layout_piece_t piece = {.extents = extents / count,
                                    .chunk = count > 1 ? chunk * RMT_LVM_SECTOR : 0};
        if (s_find_stripe(self, parts, &stripes->values[2 * i], &piece) == -1 ||
            s_add_piece(self, &piece) == -1)
            return -1;
    }
    parts->extents += extents;
    return 0;
}

// Segments that made the piece before them longer have no number.
static void
s_number_segments(const reading_t *self, const parts_t *parts,
                  rmt_layout_logical_t *found)
{
    uint64_t old = 0, number = 0;
    for (size_t i = 0; i < self->layout->piece_count; i++) {
        rmt_layout_piece_t *piece = &self->layout->pieces[i];
        if (piece->logical != parts->index)
            continue;
        if (number == 0) {
            found->disk = piece->disk;
            found->partition = piece->partition;
            strcpy(found->array, piece->array);
        }
        number += piece->segment != old;
        old = piece->segment;
        piece->segment = number;
    }
    found->extents = parts->extents;
    found->region = parts->region;
    snprintf(found->raid, sizeof found->raid, "%s", parts->raid ? parts->raid : "");
}

static int
s_read_logical(const reading_t *self, const rmt_lvm_node_t *node)
{
    rmt_auto_str what = rmt_text("logical volume %.127s", node->name);
    const rmt_lvm_node_t *first = rmt_lvm_node_find(node, "segment1");
    rmt_layout_logical_t found = {.group = self->group};
    parts_t parts = {.what = what, .index = self->layout->logical_count};
    if (self->layout->logical_count == RMT_LAYOUT_LOGICALS_MAX)
        return rmt_fail(self->error, RMT_E_TOO_BIG,
                        "there are more than %d logical volumes",
                        RMT_LAYOUT_LOGICALS_MAX);
    // The kind says more than what belongs to it alone.
    for (size_t i = 0; first && i < node->node_count; i++)
        if (strncmp(node->nodes[i].name, "segment", 7) == 0 && node->nodes[i].nodes &&
            s_read_segment(self, &node->nodes[i], &parts) == -1)
            return -1;
    if (parts.extents == 0)
        return s_refuse_kind(self, what, "without segments");
    if (s_check_fields(self, node, what, s_logical_fields) == -1 ||
        s_check_status(self, node, what) == -1)
        return -1;
    if (s_is_hidden(node))
        return s_refuse(self, what, "is hidden, and part of nothing that is carried",
                        "remove it with lvremove");
    if (s_copy(self, found.name, node->name) == -1 ||
        s_copy(self, found.uuid, rmt_lvm_node_text(node, "id")) == -1)
        return -1;
    s_number_segments(self, &parts, &found);
    *rmt_layout_add_logical(self->layout, found.disk) = found;
    return 0;
}

// ---- A group

// Is a hidden volume read with another one?
static bool
s_is_leg(const rmt_lvm_node_t *logicals, const rmt_lvm_node_t *node)
{
    for (size_t i = 0; i < logicals->node_count; i++) {
        const rmt_lvm_node_t *segment =
            rmt_lvm_node_find(&logicals->nodes[i], "segment1");
        if (rmt_layout_find_raid(rmt_lvm_node_text(segment, "type")) &&
            rmt_lvm_node_lists(segment, "raids", node->name))
            return true;
    }
    return false;
}

static int
s_read_members(const reading_t *self)
{
    const rmt_lvm_node_t *physicals = rmt_lvm_node_find(self->node, "physical_volumes");
    const rmt_lvm_node_t *logicals = rmt_lvm_node_find(self->node, "logical_volumes");
    for (size_t i = 0; physicals && i < physicals->node_count; i++)
        if (s_read_physical(self, &physicals->nodes[i]) == -1)
            return -1;
    // What is refused is named by the volume that people see.
    for (size_t i = 0; logicals && i < logicals->node_count; i++)
        if (!s_is_hidden(&logicals->nodes[i]) &&
            s_read_logical(self, &logicals->nodes[i]) == -1)
            return -1;
    for (size_t i = 0; logicals && i < logicals->node_count; i++)
        if (s_is_hidden(&logicals->nodes[i]) &&
            !s_is_leg(logicals, &logicals->nodes[i]) &&
            s_read_logical(self, &logicals->nodes[i]) == -1)
            return -1;
    return 0;
}

static int
s_read_group(reading_t *self)
{
    static const char *const known[] = {
        "id",     "seqno",  "format",          "status",           "extent_size",
        "max_lv", "max_pv", "metadata_copies", "physical_volumes", "logical_volumes",
        NULL};
    const char *uuid = rmt_lvm_node_text(self->node, "id");
    if (strlen(self->node->name) >= RMT_LAYOUT_LVM_SIZE ||
        self->layout->group_count == RMT_LAYOUT_GROUPS_MAX)
        return rmt_fail(self->error, RMT_E_TOO_BIG,
                        "there are too many volume groups, or one has a name that is too "
                        "long");
    if (rmt_layout_find_group(self->layout, self->node->name))
        return s_refuse(self, "its name", "belongs to two groups",
                        "give one of them another name with vgrename UUID NAME");
    if (s_check_fields(self, self->node, "the group", known) == -1 ||
        s_check_status(self, self->node, "the group") == -1)
        return -1;
    self->group = self->layout->group_count;
    rmt_layout_group_t *group = rmt_layout_add_group(self->layout, self->node->name);
    group->extent_size =
        rmt_lvm_node_number(self->node, "extent_size", 0) * RMT_LVM_SECTOR;
    return s_copy(self, group->uuid, uuid) == -1 ? -1 : s_read_members(self);
}

// Is there a later text of the same group, or the same one earlier in the list?
static bool
s_is_outdated(rmt_lvm_node_t *const *texts, size_t count, size_t index)
{
    const rmt_lvm_node_t *own = rmt_lvm_text_group(texts[index]);
    const uint64_t sequence = rmt_lvm_node_number(own, "seqno", 0);
    for (size_t i = 0; i < count; i++) {
        const rmt_lvm_node_t *other = rmt_lvm_text_group(texts[i]);
        const uint64_t others = rmt_lvm_node_number(other, "seqno", 0);
        if (i != index && other &&
            strcmp(rmt_lvm_node_text(own, "id"), rmt_lvm_node_text(other, "id")) == 0 &&
            (others > sequence || (others == sequence && i < index)))
            return true;
    }
    return false;
}

// A physical volume of no group holds nothing, or what this version cannot see.
static int
s_check_members(const rmt_groups_t *self, const rmt_layout_t *layout, rmt_error_t *error)
{
    for (size_t i = 0; i < self->count; i++) {
        const member_t *member = &self->members[i];
        const char *role = layout->disks[member->disk].role;
        if (rmt_layout_find_physical(layout, member->disk, member->partition,
                                     member->array))
            continue;
        rmt_auto_str words =
            *member->array ? rmt_text("array %s", member->array)
            : member->partition
                ? rmt_text("partition %" PRIu64 " of disk %s", member->partition, role)
                : rmt_text("disk %s", role);
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "%s is a physical volume of no volume group, which is not "
                        "supported; take its label away with pvremove, or add it with "
                        "vgextend",
                        words);
    }
    return 0;
}

int
rmt_groups_finish(const rmt_groups_t *self, rmt_layout_t *layout, rmt_error_t *error)
{
    assert(self && layout && layout->disk_count);
    rmt_auto_ptr memory = calloc(self->count + 1, sizeof(rmt_lvm_node_t *));
    if (!memory)
        abort();
    rmt_lvm_node_t **texts = memory;
    int rc = 0;
    for (size_t i = 0; i < self->count && rc == 0; i++) {
        const char *text = self->members[i].pv.text;
        texts[i] = text ? rmt_lvm_text_parse(text, error) : NULL;
        rc = text && !texts[i] ? -1 : 0;
    }
    for (size_t i = 0; i < self->count && rc == 0; i++) {
        reading_t reading = {.groups = self,
                             .node = rmt_lvm_text_group(texts[i]),
                             .layout = layout,
                             .error = error};
        if (reading.node && !s_is_outdated(texts, self->count, i))
            rc = s_read_group(&reading);
    }
    for (size_t i = 0; i < self->count; i++)
        rmt_lvm_node_destroy(&texts[i]);
    return rc == -1 ? -1 : s_check_members(self, layout, error);
}
