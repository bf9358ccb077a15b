// The text that describes a group on a target.
#include "disk/rmt_group.h"
#include "disk/rmt_lvm_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void
s_print_physical(const rmt_layout_t *layout, size_t index, uint64_t bytes, FILE *out)
{
    const rmt_layout_physical_t *physical = &layout->physicals[index];
    fprintf(out,
            "pv%zu {\nid = \"%s\"\nstatus = [\"ALLOCATABLE\"]\nflags = []\n"
            "dev_size = %" PRIu64 "\npe_start = %" PRIu64 "\npe_count = %" PRIu64 "\n}\n",
            index, physical->uuid, bytes / RMT_LVM_SECTOR,
            physical->data_start / RMT_LVM_SECTOR,
            rmt_layout_extents(layout, physical, bytes));
}

// The range that a segment takes of a volume.
static void
s_begin_segment(uint64_t number, uint64_t start, uint64_t extents, FILE *out)
{
    fprintf(out,
            "segment%" PRIu64 " {\nstart_extent = %" PRIu64 "\nextent_count = %" PRIu64
            "\ntype = \"striped\"\n",
            number, start, extents);
}

// All of a volume, in one range.
static void
s_print_range(uint64_t extents, size_t physical, uint64_t first, FILE *out)
{
    fputs("segment_count = 1\n", out);
    s_begin_segment(1, 0, extents, out);
    fprintf(out, "stripe_count = 1\nstripes = [\n\"pv%zu\", %" PRIu64 "\n]\n}\n",
            physical, first);
}

static size_t
s_physical_at(const rmt_layout_t *layout, size_t disk, uint64_t partition,
              const char *array)
{
    return (size_t) (rmt_layout_find_physical(layout, disk, partition, array) -
                     layout->physicals);
}

static void
s_print_whole(const rmt_layout_t *layout, const rmt_layout_logical_t *logical,
              const uint64_t *bytes, FILE *out)
{
    uint64_t first = 0;
    const size_t index =
        s_physical_at(layout, logical->disk, logical->partition, logical->array);
    const uint64_t extents = rmt_layout_place(layout, logical, bytes[index], &first);
    s_print_range(extents, index, first, out);
}

// The stripes of the segment that begins at a piece. Returns how many there are.
static size_t
s_print_segment(const rmt_layout_t *layout, const rmt_layout_piece_t *begin,
                uint64_t start, const uint64_t *bytes, FILE *out)
{
    const rmt_layout_piece_t *end = &layout->pieces[layout->piece_count];
    size_t count = 0;
    for (const rmt_layout_piece_t *piece = begin; piece < end; piece++)
        count += piece->logical == begin->logical && piece->segment == begin->segment;
    s_begin_segment(begin->segment, start, count * begin->extents, out);
    fprintf(out, "stripe_count = %zu\n", count);
    if (begin->chunk)
        fprintf(out, "stripe_size = %" PRIu64 "\n", begin->chunk / RMT_LVM_SECTOR);
    const char *gap = "stripes = [";
    for (const rmt_layout_piece_t *piece = begin; piece < end; piece++) {
        if (piece->logical != begin->logical || piece->segment != begin->segment)
            continue;
        const size_t index =
            s_physical_at(layout, piece->disk, piece->partition, piece->array);
        fprintf(out, "%s\n\"pv%zu\", %" PRIu64, gap, index,
                rmt_layout_place_piece(layout, piece, bytes[index]));
        gap = ",";
    }
    fputs("\n]\n}\n", out);
    return count;
}

static void
s_print_spread(const rmt_layout_t *layout, size_t index, const uint64_t *bytes, FILE *out)
{
    uint64_t segments = 0, start = 0;
    for (size_t i = 0; i < layout->piece_count; i++)
        if (layout->pieces[i].logical == index)
            segments = layout->pieces[i].segment;
    fprintf(out, "segment_count = %" PRIu64 "\n", segments);
    segments = 0;
    for (size_t i = 0; i < layout->piece_count; i++) {
        const rmt_layout_piece_t *piece = &layout->pieces[i];
        if (piece->logical != index || piece->segment == segments)
            continue;
        segments = piece->segment;
        start += piece->extents * s_print_segment(layout, piece, start, bytes, out);
    }
}

// A volume that another one shows, in one range.
static void
s_print_part(const char *uuid, uint64_t extents, size_t physical, uint64_t first,
             FILE *out)
{
    fprintf(out, " {\nid = \"%s\"\nstatus = [\"READ\", \"WRITE\"]\nflags = []\n", uuid);
    s_print_range(extents, physical, first, out);
    fputs("}\n", out);
}

// The legs of a RAID, behind it.
static void
s_print_legs(const rmt_layout_t *layout, size_t index, const uint64_t *bytes, FILE *out)
{
    const char *name = layout->logicals[index].name;
    size_t leg = 0;
    for (size_t i = 0; i < layout->piece_count; i++) {
        const rmt_layout_piece_t *piece = &layout->pieces[i];
        if (piece->logical != index)
            continue;
        const size_t physical =
            s_physical_at(layout, piece->disk, piece->partition, piece->array);
        const uint64_t first = rmt_layout_place_piece(layout, piece, bytes[physical]);
        fprintf(out, "%s_rmeta_%zu", name, leg);
        s_print_part(piece->meta_uuid, piece->meta_extents, physical, first, out);
        fprintf(out, "%s_rimage_%zu", name, leg++);
        s_print_part(piece->uuid, piece->extents, physical, first + piece->meta_extents,
                     out);
    }
}

static void
s_print_raid(const rmt_layout_t *layout, size_t index, FILE *out)
{
    const rmt_layout_logical_t *logical = &layout->logicals[index];
    uint64_t chunk = 0;
    size_t legs = 0;
    for (size_t i = 0; i < layout->piece_count; i++) {
        if (layout->pieces[i].logical != index)
            continue;
        chunk = layout->pieces[i].chunk;
        legs++;
    }
    fprintf(out,
            "segment_count = 1\nsegment1 {\nstart_extent = 0\nextent_count = %" PRIu64
            "\ntype = \"%s\"\ndevice_count = %zu\n",
            logical->extents, logical->raid, legs);
    if (logical->region)
        fprintf(out, "region_size = %" PRIu64 "\n", logical->region / RMT_LVM_SECTOR);
    if (chunk)
        fprintf(out, "stripe_size = %" PRIu64 "\n", chunk / RMT_LVM_SECTOR);
    for (size_t i = 0; i < legs; i++)
        fprintf(out, "%s\n\"%s_rmeta_%zu\", \"%s_rimage_%zu\"", i ? "," : "raids = [",
                logical->name, i, logical->name, i);
    fputs("\n]\n}\n", out);
}

static void
s_print_logical(const rmt_layout_t *layout, size_t index, const uint64_t *bytes,
                FILE *out)
{
    const rmt_layout_logical_t *logical = &layout->logicals[index];
    fprintf(out,
            "%s {\nid = \"%s\"\nstatus = [\"READ\", \"WRITE\", \"VISIBLE\"]\n"
            "flags = []\n",
            logical->name, logical->uuid);
    if (*logical->raid)
        s_print_raid(layout, index, out);
    else if (rmt_layout_is_spread(layout, logical))
        s_print_spread(layout, index, bytes, out);
    else
        s_print_whole(layout, logical, bytes, out);
    fputs("}\n", out);
    if (*logical->raid)
        s_print_legs(layout, index, bytes, out);
}

char *
rmt_group_print(const rmt_layout_t *layout, size_t index, const uint64_t *bytes)
{
    const rmt_layout_group_t *group = &layout->groups[index];
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    fprintf(out,
            "%s {\nid = \"%s\"\nseqno = 1\nformat = \"lvm2\"\n"
            "status = [\"RESIZEABLE\", \"READ\", \"WRITE\"]\nflags = []\n"
            "extent_size = %" PRIu64
            "\nmax_lv = 0\nmax_pv = 0\nmetadata_copies = 0\nphysical_volumes {\n",
            group->name, group->uuid, group->extent_size / RMT_LVM_SECTOR);
    for (size_t i = 0; i < layout->physical_count; i++)
        if (layout->physicals[i].group == index)
            s_print_physical(layout, i, bytes[i], out);
    fputs("}\nlogical_volumes {\n", out);
    for (size_t i = 0; i < layout->logical_count; i++)
        if (layout->logicals[i].group == index)
            s_print_logical(layout, i, bytes, out);
    fputs("}\n}\ncontents = \"Text Format Volume Group\"\nversion = 1\n"
          "description = \"ramet\"\ncreation_host = \"ramet\"\ncreation_time = 1\n",
          out);
    fclose(out);
    return text;
}
