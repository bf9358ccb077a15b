// Logical volumes in pieces: stripes, and legs of RAID.
#include "facts/rmt_layout_rows.h"

#include <string.h>

#define LEGS_MAX 64

// By the numbers of md (rmt_mapping.h). Of LVM's other kinds of parity the data lie in an
// order of their own.
static const rmt_layout_raid_t s_raids[] = {{"raid1", 0, 0, 0},    {"raid10", 0, 0, 2},
                                            {"raid4", 1, 4, 1},    {"raid5", 1, 2, 1},
                                            {"raid5_ls", 1, 2, 1}, {"raid5_la", 1, 0, 1},
                                            {"raid5_rs", 1, 3, 1}, {"raid5_ra", 1, 1, 1},
                                            {"raid6", 2, 1, 1},    {"raid6_zr", 2, 1, 1}};

const rmt_layout_raid_t *
rmt_layout_find_raid(const char *name)
{
    for (size_t i = 0; i < sizeof s_raids / sizeof *s_raids; i++)
        if (strcmp(s_raids[i].name, name) == 0)
            return &s_raids[i];
    return NULL;
}

uint64_t
rmt_layout_raid_extents(const rmt_layout_raid_t *raid, uint64_t legs, uint64_t extents)
{
    if (legs < 2 || legs > LEGS_MAX || legs <= raid->parity + 1)
        return 0;
    if (raid->copies == 0)
        return extents;
    return legs % raid->copies ? 0 : (legs - raid->parity) * extents / raid->copies;
}

static int
s_refuse(rmt_error_t *error, const rmt_layout_logical_t *logical, const char *why)
{
    return rmt_fail(error, RMT_E_USAGE, "the layout's logical volume '%.127s' %s",
                    logical->name, why);
}

static bool
s_is_chunk(const rmt_layout_t *self, const rmt_layout_piece_t *piece,
           const rmt_layout_physical_t *physical)
{
    const uint64_t extent =
        self->groups[self->logicals[piece->logical].group].extent_size;
    return piece->chunk == 0 ||
           ((piece->chunk & (piece->chunk - 1)) == 0 && piece->chunk <= extent &&
            piece->extents * extent % piece->chunk == 0 &&
            piece->chunk % rmt_layout_step(self, physical) == 0);
}

// Only legs of RAID are volumes of LVM, with one about each.
static bool
s_has_volumes(const rmt_layout_piece_t *piece, bool is_raid)
{
    return (*piece->uuid && *piece->meta_uuid && piece->meta_extents) == is_raid &&
           (*piece->uuid || *piece->meta_uuid || piece->meta_extents) == is_raid;
}

// Does a piece go on with the segment of the one before it, or with the next one?
static bool
s_follows(const rmt_layout_piece_t *piece, const rmt_layout_piece_t *before, bool is_raid)
{
    if (!before || piece->segment != before->segment)
        return piece->segment == (before ? before->segment : 0) + 1 &&
               (!before || !is_raid);
    return (piece->chunk || is_raid) && piece->chunk == before->chunk &&
           piece->extents == before->extents;
}

static bool
s_is_raid(const rmt_layout_logical_t *logical, uint64_t legs,
          const rmt_layout_piece_t *last)
{
    const rmt_layout_raid_t *raid = rmt_layout_find_raid(logical->raid);
    return raid && last && (logical->region & (logical->region - 1)) == 0 &&
           (last->chunk != 0) == (raid->copies != 0) &&
           rmt_layout_raid_extents(raid, legs, last->extents) == logical->extents;
}

static bool
s_has_uuid(const rmt_layout_piece_t *piece, const char *uuid)
{
    return *uuid &&
           (strcmp(piece->uuid, uuid) == 0 || strcmp(piece->meta_uuid, uuid) == 0);
}

// Has a volume of the layout, or an earlier piece, one of its uuids?
static bool
s_is_twice(const rmt_layout_t *self, const rmt_layout_piece_t *piece)
{
    bool is_twice = *piece->uuid && strcmp(piece->uuid, piece->meta_uuid) == 0;
    for (size_t i = 0; i < self->logical_count; i++)
        is_twice = is_twice || s_has_uuid(piece, self->logicals[i].uuid);
    for (const rmt_layout_piece_t *one = self->pieces; one < piece; one++)
        is_twice =
            is_twice || s_has_uuid(one, piece->uuid) || s_has_uuid(one, piece->meta_uuid);
    return is_twice;
}

int
rmt_layout_check_spread(const rmt_layout_t *self, rmt_error_t *error)
{
    for (size_t i = 0; i < self->piece_count; i++) {
        const rmt_layout_logical_t *logical = &self->logicals[self->pieces[i].logical];
        if (!rmt_layout_is_spread(self, logical))
            return s_refuse(error, logical, "has pieces, and is not spread");
    }
    return 0;
}

int
rmt_layout_check_pieces(const rmt_layout_t *self, const rmt_layout_logical_t *logical,
                        rmt_error_t *error)
{
    const rmt_layout_piece_t *before = NULL;
    const bool is_raid = *logical->raid;
    uint64_t extents = 0, legs = 0;
    for (size_t i = 0; i < self->piece_count; i++) {
        const rmt_layout_piece_t *piece = &self->pieces[i];
        const rmt_layout_physical_t *physical =
            rmt_layout_find_physical(self, piece->disk, piece->partition, piece->array);
        if (&self->logicals[piece->logical] != logical)
            continue;
        if (!physical || physical->group != logical->group)
            return s_refuse(error, logical,
                            "has a piece on no physical volume of its group");
        if (!s_is_chunk(self, piece, physical) || !s_follows(piece, before, is_raid) ||
            !s_has_volumes(piece, is_raid) ||
            (!before &&
             (piece->disk != logical->disk || piece->partition != logical->partition ||
              strcmp(piece->array, logical->array) != 0)))
            return s_refuse(error, logical, "has pieces that do not fit each other");
        if (s_is_twice(self, piece))
            return s_refuse(error, logical, "has two volumes with one uuid");
        extents += piece->extents;
        legs++;
        before = piece;
    }
    if (logical->grow ||
        (is_raid ? !s_is_raid(logical, legs, before) : extents != logical->extents))
        return s_refuse(error, logical,
                        "has other extents than its pieces, or would grow");
    return 0;
}
