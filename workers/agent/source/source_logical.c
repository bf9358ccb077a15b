#include "agent/source/source_reading.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

// The disk or array on which a physical volume lies.
static rmt_blockdev_t *
s_below(const rmt_source_disk_t *self, const rmt_layout_piece_t *piece)
{
    const rmt_layout_array_t *array = rmt_layout_find_array(self->layout, piece->array);
    return array ? rmt_fuse_disk_blockdev(self->shown[array - self->layout->arrays].disk)
                 : self->devices[piece->disk].device;
}

// Where a range of extents of a physical volume lies there.
static rmt_layout_run_t
s_run(const rmt_source_disk_t *self, const rmt_layout_piece_t *piece, uint64_t first)
{
    return rmt_layout_run(self->layout,
                          rmt_layout_find_physical(self->layout, piece->disk,
                                                   piece->partition, piece->array),
                          first, piece->extents);
}

// What the pieces of a logical volume make together, as a device. Borrowed.
static const char *
s_show_pieces(rmt_source_disk_t *self, size_t index, rmt_error_t *error)
{
    const rmt_layout_t *layout = self->layout;
    uint32_t sector = 0;
    rmt_auto_str name = rmt_text("logical-%zu", index);
    rmt_auto_ptr memory = calloc(2 * layout->piece_count, sizeof(rmt_mapping_member_t));
    if (!memory)
        abort();
    rmt_mapping_member_t *places = memory, *metas = places + layout->piece_count;
    for (size_t i = 0; i < layout->piece_count; i++) {
        const rmt_layout_piece_t *piece = &layout->pieces[i];
        if (piece->logical != index)
            continue;
        const rmt_blockdev_t *below = s_below(self, piece);
        places[i] =
            (rmt_mapping_member_t){.fd = rmt_blockdev_fd(below),
                                   .offset = s_run(self, piece, piece->first).start};
        metas[i] =
            (rmt_mapping_member_t){.fd = rmt_blockdev_fd(below),
                                   .offset = s_run(self, piece, piece->meta_first).start};
        if (rmt_blockdev_sector(below) > sector)
            sector = rmt_blockdev_sector(below);
    }
    if (*layout->logicals[index].raid &&
        rmt_group_check_legs(layout, index, metas, error) == -1)
        return NULL;
    rmt_auto(rmt_mapping) mapping = rmt_group_map(layout, index, places);
    return rmt_source_show(self, name, &mapping, sector, error);
}

// A logical volume that lies in one piece is read as a partition that the table lacks.
static char *
s_device_of(rmt_source_disk_t *self, size_t index, rmt_error_t *error)
{
    const rmt_layout_t *layout = self->layout;
    const rmt_layout_piece_t *first = NULL;
    size_t pieces = 0;
    for (size_t i = 0; i < layout->piece_count; i++)
        if (layout->pieces[i].logical == index) {
            first = first ? first : &layout->pieces[i];
            pieces++;
        }
    if (pieces != 1) {
        const char *device = s_show_pieces(self, index, error);
        return device ? rmt_text("%s", device) : NULL;
    }
    rmt_blockdev_t *below = s_below(self, first);
    const uint32_t sector = rmt_blockdev_sector(below);
    const rmt_layout_run_t run = s_run(self, first, first->first);
    return rmt_blockdev_partition(below, rmt_layout_free_number(layout, index),
                                  run.start / sector, run.size / sector, error);
}

int
rmt_source_read_logical(rmt_source_disk_t *self, size_t index, rmt_error_t *error)
{
    const rmt_layout_logical_t *logical = &self->layout->logicals[index];
    size_t volume = 0;
    rmt_auto_str path = rmt_layout_logical_path(self->layout, logical);
    const rmt_source_place_t place = {.disk = logical->disk, .logical = path};
    rmt_auto_str device = s_device_of(self, index, error);
    if (!device || rmt_source_probe(self, &place, &device, &volume, error) == -1 ||
        rmt_source_mount(self, volume, device, error) == -1) {
        if (device)
            rmt_rename(error, device, "it");
        return rmt_wrap(error, "logical volume %s", path);
    }
    return 0;
}
