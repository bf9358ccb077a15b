// rmt_layout_rows - the fields of a layout's classes. Private to lib/facts.
#pragma once

#include "facts/rmt_layout.h"

typedef enum {
    AS_NUMBER,
    AS_SECTOR,
    AS_HEX,
    AS_OCTAL,
    AS_FLAG,   // yes, or absent
    AS_YES_NO, // The same, and no is written too
    AS_TEXT,
    AS_GUID,
    AS_PATH,
    AS_TABLE,
    AS_LVM_NAME,
    AS_LVM_UUID,
    AS_ROOT, // Of a volume: two fields of the struct
    KIND_COUNT
} rmt_layout_kind_t;

typedef struct {
    const char *name;
    rmt_layout_kind_t kind;
    size_t offset;
    bool is_required;
    uint64_t least, most; // Of numbers
} rmt_layout_row_t;

typedef struct {
    const rmt_layout_row_t *rows;
    size_t count;
} rmt_layout_rows_t;

// Records are written in the order of the rows; what says which item it is (class, role,
// disk) comes before them.
extern const rmt_layout_rows_t rmt_layout_disk_rows, rmt_layout_partition_rows;
extern const rmt_layout_rows_t rmt_layout_array_rows, rmt_layout_member_rows;
extern const rmt_layout_rows_t rmt_layout_crypt_rows;
extern const rmt_layout_rows_t rmt_layout_group_rows, rmt_layout_physical_rows;
extern const rmt_layout_rows_t rmt_layout_logical_rows, rmt_layout_piece_rows;
extern const rmt_layout_rows_t rmt_layout_volume_rows, rmt_layout_swap_rows;

// Bytes of a sector of that on which a physical volume lies (rmt_layout_lvm.c).
uint64_t rmt_layout_step(const rmt_layout_t *self, const rmt_layout_physical_t *physical);
// The part of rmt_layout_check about the pieces of a volume that is spread
// (rmt_layout_pieces.c).
int rmt_layout_check_pieces(const rmt_layout_t *self, const rmt_layout_logical_t *logical,
                            rmt_error_t *error);
// Records of pieces are those of volumes that are spread; a layout that was read from
// disks has others too.
int rmt_layout_check_spread(const rmt_layout_t *self, rmt_error_t *error);

// The word for a kind of table, or NULL.
const char *rmt_layout_table_name(rmt_table_t table);
