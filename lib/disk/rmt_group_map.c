// The bytes of a logical volume in pieces, put together from those of its disks.
#include "disk/rmt_group.h"

#include <assert.h>
#include <stdlib.h>

// The pieces of the segment that begins at one go round it in chunks.
static void
s_map_segment(const rmt_layout_t *layout, size_t begin,
              const rmt_mapping_member_t *places, rmt_mapping_t *mapping)
{
    const rmt_layout_piece_t *first = &layout->pieces[begin];
    const rmt_layout_logical_t *logical = &layout->logicals[first->logical];
    const uint64_t extent = layout->groups[logical->group].extent_size;
    rmt_mapping_member_t *members = calloc(layout->piece_count, sizeof *members);
    size_t count = 0;
    if (!members)
        abort();
    for (size_t i = begin; i < layout->piece_count; i++)
        if (layout->pieces[i].logical == first->logical &&
            layout->pieces[i].segment == first->segment)
            members[count++] =
                (rmt_mapping_member_t){.fd = places[i].fd, .offset = places[i].offset};
    const rmt_layout_raid_t *raid = rmt_layout_find_raid(logical->raid);
    const uint64_t size =
        raid ? logical->extents * extent : count * first->extents * extent;
    const unsigned copies = !raid ? 1 : raid->copies ? raid->copies : (unsigned) count;
    const rmt_mapping_segment_t segment = {.size = size,
                                           .chunk = first->chunk ? first->chunk : size,
                                           .parity = raid ? raid->parity : 0,
                                           .layout = raid ? raid->layout : 0,
                                           .near = copies,
                                           .far = 1,
                                           .members = members,
                                           .count = count};
    rmt_mapping_add(mapping, &segment);
    free(members);
}

rmt_mapping_t *
rmt_group_map(const rmt_layout_t *layout, size_t logical,
              const rmt_mapping_member_t *places)
{
    assert(layout && logical < layout->logical_count);
    rmt_mapping_t *mapping = rmt_mapping_new();
    uint64_t segment = 0;
    for (size_t i = 0; i < layout->piece_count; i++) {
        if (layout->pieces[i].logical != logical || layout->pieces[i].segment == segment)
            continue;
        segment = layout->pieces[i].segment;
        s_map_segment(layout, i, places, mapping);
    }
    return mapping;
}
