// A layout as records, by the tables of fields.
#include "facts/rmt_layout_rows.h"
#include "base/rmt_auto.h"

#include <assert.h>
#include <inttypes.h>

static void
s_write_root(const rmt_layout_row_t *row, const rmt_layout_volume_t *volume,
             rmt_record_t *record)
{
    char text[RMT_ID_TEXT_SIZE];
    if (volume->has_root)
        rmt_record_set(record, row->name, rmt_id_text(&volume->root, text));
}

static void
s_write_field(const rmt_layout_row_t *row, const void *item, rmt_record_t *record)
{
    const void *at = (const char *) item + row->offset;
    const uint64_t number =
        row->kind <= AS_OCTAL ? *(const uint64_t *) at : 0; // The kinds that are numbers
    switch (row->kind) {
    case AS_NUMBER:
    case AS_SECTOR:
        if (number || row->is_required)
            rmt_record_set_u64(record, row->name, number);
        break;
    case AS_HEX:
        rmt_record_setf(record, row->name, "%016" PRIx64, number);
        break;
    case AS_OCTAL:
        rmt_record_setf(record, row->name, "%04" PRIo64, number);
        break;
    case AS_FLAG:
    case AS_YES_NO:
        if (*(const bool *) at || row->kind == AS_YES_NO)
            rmt_record_set(record, row->name, *(const bool *) at ? "yes" : "no");
        break;
    case AS_TABLE:
        rmt_record_set(record, row->name,
                       rmt_layout_table_name(*(const rmt_table_t *) at));
        break;
    case AS_ROOT:
        s_write_root(row, at, record);
        break;
    case KIND_COUNT:
        break;
    case AS_GUID:
    case AS_LVM_NAME:
    case AS_LVM_UUID:
        if (*(const char *) at)
            rmt_record_set(record, row->name, at);
        break;
    case AS_TEXT:
    case AS_PATH:
        if (*(char *const *) at)
            rmt_record_set(record, row->name, *(char *const *) at);
        break;
    }
}

static void
s_write_fields(const rmt_layout_rows_t *table, const void *item, rmt_record_t *record)
{
    for (size_t i = 0; i < table->count; i++)
        s_write_field(&table->rows[i], item, record);
}

rmt_record_t *
rmt_layout_write_volume(const rmt_layout_t *self, const rmt_layout_volume_t *volume)
{
    rmt_record_t *record = rmt_record_dup(volume->format);
    rmt_record_set(record, "disk", self->disks[volume->disk].role);
    rmt_record_set_u64(record, "partition", volume->partition);
    s_write_fields(&rmt_layout_volume_rows, volume, record);
    // Of a tree that was counted zeros are told too.
    if (volume->files) {
        rmt_record_set_u64(record, "bytes-tree", volume->bytes_tree);
        rmt_record_set_u64(record, "bytes-reserved", volume->bytes_reserved);
    }
    return record;
}

static void
s_write_disk(const rmt_layout_disk_t *disk, rmt_record_t *record)
{
    rmt_record_set(record, "class", "disk");
    rmt_record_set(record, "role", disk->role);
    s_write_fields(&rmt_layout_disk_rows, disk, record);
}

static void
s_write_partition(const rmt_layout_t *self, const rmt_layout_partition_t *partition,
                  rmt_record_t *record)
{
    const rmt_layout_disk_t *disk = &self->disks[partition->disk];
    rmt_record_set(record, "class", "partition");
    rmt_record_set(record, "disk", disk->role);
    s_write_fields(&rmt_layout_partition_rows, partition, record);
    rmt_record_remove(record, disk->table == RMT_TABLE_DOS ? "attrs" : "boot");
}

// The head of the record of a physical or logical volume, or of a piece.
static void
s_write_member(const rmt_layout_t *self, const char *class, size_t disk, size_t group,
               rmt_record_t *record)
{
    rmt_record_set(record, "class", class);
    rmt_record_set(record, "disk", self->disks[disk].role);
    rmt_record_set(record, "group", self->groups[group].name);
}

static void
s_write_arrays(const rmt_layout_t *self, rmt_records_t *records)
{
    for (size_t i = 0; i < self->array_count; i++) {
        rmt_record_t *record = rmt_records_add(records);
        rmt_record_set(record, "class", "array");
        s_write_fields(&rmt_layout_array_rows, &self->arrays[i], record);
    }
    for (size_t i = 0; i < self->member_count; i++) {
        const rmt_layout_member_t *member = &self->members[i];
        rmt_record_t *record = rmt_records_add(records);
        rmt_record_set(record, "class", "member");
        rmt_record_set(record, "disk", self->disks[member->disk].role);
        rmt_record_set(record, "array", self->arrays[member->array].uuid);
        s_write_fields(&rmt_layout_member_rows, member, record);
    }
}

static void
s_write_crypts(const rmt_layout_t *self, rmt_records_t *records)
{
    for (size_t i = 0; i < self->crypt_count; i++) {
        rmt_record_t *record = rmt_records_add(records);
        rmt_record_set(record, "class", "crypt");
        rmt_record_set(record, "disk", self->disks[self->crypts[i].disk].role);
        s_write_fields(&rmt_layout_crypt_rows, &self->crypts[i], record);
    }
}

static void
s_write_groups(const rmt_layout_t *self, rmt_records_t *records)
{
    for (size_t i = 0; i < self->group_count; i++) {
        rmt_record_t *record = rmt_records_add(records);
        rmt_record_set(record, "class", "group");
        s_write_fields(&rmt_layout_group_rows, &self->groups[i], record);
    }
    for (size_t i = 0; i < self->physical_count; i++) {
        const rmt_layout_physical_t *physical = &self->physicals[i];
        rmt_record_t *record = rmt_records_add(records);
        s_write_member(self, "physical", physical->disk, physical->group, record);
        s_write_fields(&rmt_layout_physical_rows, physical, record);
    }
    for (size_t i = 0; i < self->logical_count; i++) {
        const rmt_layout_logical_t *logical = &self->logicals[i];
        rmt_record_t *record = rmt_records_add(records);
        s_write_member(self, "logical", logical->disk, logical->group, record);
        s_write_fields(&rmt_layout_logical_rows, logical, record);
    }
    for (size_t i = 0; i < self->piece_count; i++) {
        const rmt_layout_piece_t *piece = &self->pieces[i];
        const rmt_layout_logical_t *logical = &self->logicals[piece->logical];
        if (!rmt_layout_is_spread(self, logical))
            continue;
        rmt_record_t *record = rmt_records_add(records);
        s_write_member(self, "piece", piece->disk, logical->group, record);
        rmt_record_set(record, "logical", logical->name);
        s_write_fields(&rmt_layout_piece_rows, piece, record);
    }
}

void
rmt_layout_write(const rmt_layout_t *self, rmt_records_t *records)
{
    assert(self);
    assert(records);
    for (size_t i = 0; i < self->disk_count; i++)
        s_write_disk(&self->disks[i], rmt_records_add(records));
    for (size_t i = 0; i < self->partition_count; i++)
        s_write_partition(self, &self->partitions[i], rmt_records_add(records));
    s_write_arrays(self, records);
    s_write_crypts(self, records);
    s_write_groups(self, records);
    for (size_t i = 0; i < self->volume_count; i++) {
        rmt_record_t *record = rmt_layout_write_volume(self, &self->volumes[i]);
        rmt_records_append(records, &record);
    }
    for (size_t i = 0; i < self->swap_count; i++) {
        rmt_record_t *record = rmt_records_add(records);
        rmt_record_set(record, "class", "swap-file");
        rmt_record_set(record, "disk", self->disks[self->swaps[i].disk].role);
        s_write_fields(&rmt_layout_swap_rows, &self->swaps[i], record);
    }
}
