#include "facts/rmt_layout_rows.h"

#include <stddef.h>

#define SECTORS_MAX ((uint64_t) 1 << 48)
#define NUMBER_MAX 1024
#define EXTENTS_MAX ((uint64_t) 1 << 32)
#define SWAP_BYTES_MIN 40960 // Ten pages of 4 KiB, the least that mkswap takes

#define DISK(field) offsetof(rmt_layout_disk_t, field)
#define PARTITION(field) offsetof(rmt_layout_partition_t, field)
#define ARRAY(field) offsetof(rmt_layout_array_t, field)
#define MEMBER(field) offsetof(rmt_layout_member_t, field)
#define CRYPT(field) offsetof(rmt_layout_crypt_t, field)
#define GROUP(field) offsetof(rmt_layout_group_t, field)
#define PHYSICAL(field) offsetof(rmt_layout_physical_t, field)
#define LOGICAL(field) offsetof(rmt_layout_logical_t, field)
#define PIECE(field) offsetof(rmt_layout_piece_t, field)
#define VOLUME(field) offsetof(rmt_layout_volume_t, field)
#define SWAP(field) offsetof(rmt_layout_swap_t, field)

static const rmt_layout_row_t s_disk_rows[] = {
    {"logical-sector", AS_SECTOR, DISK(sector), false, 0, 0},
    {"bytes", AS_NUMBER, DISK(bytes), false, 0, INT64_MAX},
    {"table", AS_TABLE, DISK(table), true, 0, 0},
    {"guid", AS_GUID, DISK(guid), false, 0, 0},
    {"entries", AS_NUMBER, DISK(entries), false, 1, NUMBER_MAX},
    {"first-lba", AS_NUMBER, DISK(first_lba), false, 0, SECTORS_MAX},
    {"grow", AS_FLAG, DISK(grow), false, 0, 0},
    {"required-bytes", AS_NUMBER, DISK(required_bytes), false, 0, INT64_MAX},
};

static const rmt_layout_row_t s_partition_rows[] = {
    {"number", AS_NUMBER, PARTITION(number), true, 1, NUMBER_MAX},
    {"start", AS_NUMBER, PARTITION(start), true, 1, SECTORS_MAX},
    {"size", AS_NUMBER, PARTITION(size), true, 1, SECTORS_MAX},
    {"type", AS_GUID, PARTITION(type), true, 0, 0},
    {"boot", AS_YES_NO, PARTITION(boot), false, 0, 0},
    {"guid", AS_GUID, PARTITION(guid), false, 0, 0},
    {"name", AS_TEXT, PARTITION(name), false, 0, 0},
    {"attrs", AS_HEX, PARTITION(attrs), false, 0, 0},
    {"min-size", AS_NUMBER, PARTITION(min_size), false, 1, SECTORS_MAX},
    {"at-end", AS_FLAG, PARTITION(at_end), false, 0, 0},
};

static const rmt_layout_row_t s_array_rows[] = {
    {"uuid", AS_GUID, ARRAY(uuid), true, 0, 0},
    {"name", AS_TEXT, ARRAY(name), false, 0, 0},
    {"metadata", AS_TEXT, ARRAY(metadata), true, 0, 0},
    {"minor", AS_NUMBER, ARRAY(minor), false, 0, 1 << 20},
    {"level", AS_NUMBER, ARRAY(level), true, 0, 10},
    {"layout", AS_NUMBER, ARRAY(layout), false, 0, UINT32_MAX},
    {"chunk", AS_NUMBER, ARRAY(chunk), false, 0, (uint64_t) 1 << 31},
    {"slots", AS_NUMBER, ARRAY(slots), true, 1, RMT_LAYOUT_MEMBERS_MAX / 4},
    {"size", AS_NUMBER, ARRAY(size), false, 0, (uint64_t) 1 << 56},
};

static const rmt_layout_row_t s_member_rows[] = {
    {"partition", AS_NUMBER, MEMBER(partition), true, 1, NUMBER_MAX},
    {"slot", AS_NUMBER, MEMBER(slot), true, 0, RMT_LAYOUT_MEMBERS_MAX / 4 - 1},
    {"data-start", AS_NUMBER, MEMBER(data_start), true, 0, (uint64_t) 1 << 40},
    {"data-size", AS_NUMBER, MEMBER(data_size), true, 1, (uint64_t) 1 << 56},
};

static const rmt_layout_row_t s_crypt_rows[] = {
    {"partition", AS_NUMBER, CRYPT(partition), false, 1, NUMBER_MAX},
    {"logical", AS_TEXT, CRYPT(logical), false, 0, 0},
    {"version", AS_NUMBER, CRYPT(version), true, 1, 2},
    {"uuid", AS_GUID, CRYPT(uuid), true, 0, 0},
    {"name", AS_TEXT, CRYPT(name), false, 0, 0},
    {"label", AS_TEXT, CRYPT(label), false, 0, 0},
    {"cipher", AS_TEXT, CRYPT(cipher), true, 0, 0},
    {"key-bytes", AS_NUMBER, CRYPT(key_bytes), true, 16, 64},
    {"sector-size", AS_NUMBER, CRYPT(sector), true, 512, 4096},
    {"hash", AS_TEXT, CRYPT(hash), true, 0, 0},
    {"pbkdf", AS_TEXT, CRYPT(pbkdf), true, 0, 0},
    {"data-start", AS_NUMBER, CRYPT(data_start), true, 4096, (uint64_t) 1 << 30},
};

static const rmt_layout_row_t s_group_rows[] = {
    {"name", AS_LVM_NAME, GROUP(name), true, 0, 0},
    {"uuid", AS_LVM_UUID, GROUP(uuid), true, 0, 0},
    {"extent-size", AS_NUMBER, GROUP(extent_size), true, 1024, (uint64_t) 1 << 34},
};

static const rmt_layout_row_t s_physical_rows[] = {
    {"partition", AS_NUMBER, PHYSICAL(partition), false, 1, NUMBER_MAX},
    {"array", AS_GUID, PHYSICAL(array), false, 0, 0},
    {"bytes", AS_NUMBER, PHYSICAL(bytes), false, 1, INT64_MAX},
    {"uuid", AS_LVM_UUID, PHYSICAL(uuid), true, 0, 0},
    {"data-start", AS_NUMBER, PHYSICAL(data_start), true, 1, (uint64_t) 1 << 26},
    {"extents", AS_NUMBER, PHYSICAL(extents), true, 1, EXTENTS_MAX},
};

static const rmt_layout_row_t s_logical_rows[] = {
    {"name", AS_LVM_NAME, LOGICAL(name), true, 0, 0},
    {"uuid", AS_LVM_UUID, LOGICAL(uuid), true, 0, 0},
    {"partition", AS_NUMBER, LOGICAL(partition), false, 1, NUMBER_MAX},
    {"array", AS_GUID, LOGICAL(array), false, 0, 0},
    {"extents", AS_NUMBER, LOGICAL(extents), true, 1, EXTENTS_MAX},
    {"min-extents", AS_NUMBER, LOGICAL(min_extents), false, 1, EXTENTS_MAX},
    {"grow", AS_FLAG, LOGICAL(grow), false, 0, 0},
    {"raid", AS_LVM_NAME, LOGICAL(raid), false, 0, 0},
    {"region", AS_NUMBER, LOGICAL(region), false, 512, (uint64_t) 1 << 40},
};

static const rmt_layout_row_t s_piece_rows[] = {
    {"partition", AS_NUMBER, PIECE(partition), false, 1, NUMBER_MAX},
    {"array", AS_GUID, PIECE(array), false, 0, 0},
    {"segment", AS_NUMBER, PIECE(segment), true, 1, RMT_LAYOUT_PIECES_MAX},
    {"extents", AS_NUMBER, PIECE(extents), true, 1, EXTENTS_MAX},
    {"chunk", AS_NUMBER, PIECE(chunk), false, 512, (uint64_t) 1 << 34},
    {"uuid", AS_LVM_UUID, PIECE(uuid), false, 0, 0},
    {"meta-extents", AS_NUMBER, PIECE(meta_extents), false, 1, EXTENTS_MAX},
    {"meta-uuid", AS_LVM_UUID, PIECE(meta_uuid), false, 0, 0},
};

static const rmt_layout_row_t s_volume_rows[] = {
    {"partition", AS_NUMBER, VOLUME(partition), false, 0, NUMBER_MAX},
    {"logical", AS_TEXT, VOLUME(logical), false, 0, 0},
    {"array", AS_TEXT, VOLUME(array), false, 0, 0},
    {"subvolume", AS_TEXT, VOLUME(subvolume), false, 0, 0},
    {"subvolume-id", AS_NUMBER, VOLUME(subvolume_id), false, 0, UINT64_MAX},
    {"default", AS_FLAG, VOLUME(is_default), false, 0, 0},
    {"read-only", AS_FLAG, VOLUME(is_read_only), false, 0, 0},
    {"mount", AS_PATH, VOLUME(mount), false, 0, 0},
    {"root", AS_ROOT, 0, false, 0, 0},
    {"files", AS_NUMBER, VOLUME(files), false, 0, INT64_MAX},
    {"bytes-tree", AS_NUMBER, VOLUME(bytes_tree), false, 0, INT64_MAX},
    {"bytes-reserved", AS_NUMBER, VOLUME(bytes_reserved), false, 0, INT64_MAX},
};

static const rmt_layout_row_t s_swap_rows[] = {
    {"partition", AS_NUMBER, SWAP(partition), false, 0, NUMBER_MAX},
    {"logical", AS_TEXT, SWAP(logical), false, 0, 0},
    {"array", AS_TEXT, SWAP(array), false, 0, 0},
    {"subvolume", AS_TEXT, SWAP(subvolume), false, 0, 0},
    {"path", AS_PATH, SWAP(path), true, 0, 0},
    {"bytes", AS_NUMBER, SWAP(bytes), true, SWAP_BYTES_MIN, INT64_MAX},
    {"mode", AS_OCTAL, SWAP(mode), true, 0, 0},
    {"uuid", AS_TEXT, SWAP(uuid), false, 0, 0},
    {"label", AS_TEXT, SWAP(label), false, 0, 0},
};

#define ROWS(rows)                                                                       \
    {                                                                                    \
        rows, sizeof rows / sizeof *rows                                                 \
    }

const rmt_layout_rows_t rmt_layout_disk_rows = ROWS(s_disk_rows);
const rmt_layout_rows_t rmt_layout_partition_rows = ROWS(s_partition_rows);
const rmt_layout_rows_t rmt_layout_array_rows = ROWS(s_array_rows);
const rmt_layout_rows_t rmt_layout_member_rows = ROWS(s_member_rows);
const rmt_layout_rows_t rmt_layout_crypt_rows = ROWS(s_crypt_rows);
const rmt_layout_rows_t rmt_layout_group_rows = ROWS(s_group_rows);
const rmt_layout_rows_t rmt_layout_physical_rows = ROWS(s_physical_rows);
const rmt_layout_rows_t rmt_layout_logical_rows = ROWS(s_logical_rows);
const rmt_layout_rows_t rmt_layout_piece_rows = ROWS(s_piece_rows);
const rmt_layout_rows_t rmt_layout_volume_rows = ROWS(s_volume_rows);
const rmt_layout_rows_t rmt_layout_swap_rows = ROWS(s_swap_rows);

const char *
rmt_layout_table_name(rmt_table_t table)
{
    static const char *const names[] = {
        [RMT_TABLE_NONE] = "none", [RMT_TABLE_GPT] = "gpt", [RMT_TABLE_DOS] = "dos"};
    return table < sizeof names / sizeof *names ? names[table] : NULL;
}
