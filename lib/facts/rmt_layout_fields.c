// The door: records to a layout, by one table of fields for each class.
#include "facts/rmt_layout_rows.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define VALUE_SHOWN 60 // Letters of a wrong value

// How a file system is made: fields that only lib/disk acts on, kept as they are.
static const char s_format_texts[] =
    "fs uuid label features content checksum errors reserved-percent mount-presets "
    "mount-options name-hash hash-seed names";
static const char s_format_numbers[] =
    "bytes bytes-used device-bytes block-size cluster-size sector-size inode-size "
    "inodes inodes-used flex-groups max-mounts check-interval reserved-uid "
    "reserved-gid stride stripe-width inode-percent stripe-unit stripe-bytes "
    "folder-block-size node-size fat-bits";

typedef struct {
    const rmt_layout_rows_t *own;
    const char *others; // Fields that are read by name; NULL: they are not looked at
} table_t;

// ---- One field

typedef struct {
    const rmt_record_t *record;
    rmt_error_t *error;
} reading_t;

// "partition 2 of 'system'", or what is known of it.
static int
s_refuse(const reading_t *self, const char *field, const char *wanted)
{
    const char *class = rmt_record_text(self->record, "class", "");
    const char *value = rmt_record_text(self->record, field, NULL);
    const char *who =
        rmt_record_text(self->record,
                        strcmp(class, "disk") == 0              ? "role"
                        : strcmp(class, "partition") == 0       ? "number"
                        : rmt_record_has(self->record, "name")  ? "name"
                        : rmt_record_has(self->record, "mount") ? "mount"
                                                                : "partition",
                        "?");
    if (!rmt_record_has(self->record, field))
        return rmt_fail(self->error, RMT_E_USAGE,
                        "the layout's %.20s '%.60s' has no field %.63s; it must be %s",
                        class, who, field, wanted);
    return rmt_fail(self->error, RMT_E_USAGE,
                    "the layout's %.20s '%.60s' has %.63s '%.*s'; it must be %s", class,
                    who, field, VALUE_SHOWN, value ? value : "(with a NUL in it)",
                    wanted);
}

// Decimal digits alone, and the same number when it is written again.
static bool
s_parse_number(const char *text, uint64_t *number_out)
{
    uint64_t number = 0;
    if (!*text || (text[0] == '0' && text[1]))
        return false;
    for (; *text; text++) {
        if (!isdigit((unsigned char) *text) ||
            __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t) (*text - '0'), &number))
            return false;
    }
    *number_out = number;
    return true;
}

static int
s_read_number(const reading_t *self, const rmt_layout_row_t *row, const char *text,
              void *at)
{
    uint64_t number = 0;
    if (!s_parse_number(text, &number) || number < row->least || number > row->most) {
        char wanted[80];
        snprintf(wanted, sizeof wanted, "a number from %" PRIu64 " to %" PRIu64,
                 row->least, row->most);
        return s_refuse(self, row->name, wanted);
    }
    *(uint64_t *) at = number;
    return 0;
}

static int
s_read_sector(const reading_t *self, const rmt_layout_row_t *row, const char *text,
              void *at)
{
    uint64_t number = 0;
    if (!s_parse_number(text, &number) ||
        (number != 512 && number != 1024 && number != 2048 && number != 4096))
        return s_refuse(self, row->name, "512, 1024, 2048 or 4096");
    *(uint64_t *) at = number;
    return 0;
}

static int
s_read_hex(const reading_t *self, const rmt_layout_row_t *row, const char *text, void *at)
{
    const size_t size = strspn(text, "0123456789abcdefABCDEF");
    if (size == 0 || size > 16 || text[size])
        return s_refuse(self, row->name, "up to 16 hexadecimal digits");
    *(uint64_t *) at = strtoull(text, NULL, 16);
    return 0;
}

static int
s_read_octal(const reading_t *self, const rmt_layout_row_t *row, const char *text,
             void *at)
{
    if (strlen(text) != 4 || strspn(text, "01234567") != 4)
        return s_refuse(self, row->name, "four octal digits, such as 0600");
    *(uint64_t *) at = strtoull(text, NULL, 8);
    return 0;
}

static int
s_read_flag(const reading_t *self, const rmt_layout_row_t *row, const char *text,
            void *at)
{
    const bool is_set = strcmp(text, "yes") == 0;
    if (!is_set && strcmp(text, "no") != 0)
        return s_refuse(self, row->name, "yes or no");
    *(bool *) at = is_set;
    return 0;
}

// Of what kind it must be the table of the disk tells (rmt_layout_check).
static int
s_read_guid(const reading_t *self, const rmt_layout_row_t *row, const char *text,
            void *at)
{
    const size_t size = strspn(text, "0123456789abcdefABCDEFx-");
    if (size == 0 || size >= RMT_LAYOUT_GUID_SIZE || text[size])
        return s_refuse(self, row->name, "a GUID, or hexadecimal digits of a DOS table");
    memcpy(at, text, size + 1);
    return 0;
}

static int
s_read_lvm_name(const reading_t *self, const rmt_layout_row_t *row, const char *text,
                void *at)
{
    if (!rmt_layout_is_lvm_name(text))
        return s_refuse(self, row->name, "a name of letters, digits and + _ . -");
    strcpy(at, text);
    return 0;
}

static int
s_read_lvm_uuid(const reading_t *self, const rmt_layout_row_t *row, const char *text,
                void *at)
{
    if (!rmt_layout_is_lvm_uuid(text))
        return s_refuse(self, row->name, "a uuid of LVM");
    strcpy(at, text);
    return 0;
}

static int
s_read_text(const reading_t *self, const rmt_layout_row_t *row, const char *text,
            void *at)
{
    if (row->kind == AS_PATH && text[0] != '/')
        return s_refuse(self, row->name, "a path that begins with /");
    char **field = at;
    free(*field);
    *field = strdup(text);
    if (!*field)
        abort();
    return 0;
}

static int
s_read_table(const reading_t *self, const rmt_layout_row_t *row, const char *text,
             void *at)
{
    for (size_t i = 0; rmt_layout_table_name((rmt_table_t) i); i++) {
        if (strcmp(rmt_layout_table_name((rmt_table_t) i), text) != 0)
            continue;
        *(rmt_table_t *) at = (rmt_table_t) i;
        return 0;
    }
    return s_refuse(self, row->name, "gpt, dos or none");
}

static int
s_read_root(const reading_t *self, const rmt_layout_row_t *row, const char *text,
            void *at)
{
    rmt_layout_volume_t *volume = at;
    rmt_error_t ignored = {0};
    volume->has_root = true;
    return rmt_id_parse(&volume->root, text, &ignored) == -1
               ? s_refuse(self, row->name, "an id of 66 hexadecimal digits")
               : 0;
}

static int
s_read_field(const reading_t *self, const rmt_layout_row_t *row, void *item)
{
    static int (*const readers[KIND_COUNT])(const reading_t *, const rmt_layout_row_t *,
                                            const char *, void *) = {
        [AS_NUMBER] = s_read_number,     [AS_SECTOR] = s_read_sector,
        [AS_HEX] = s_read_hex,           [AS_OCTAL] = s_read_octal,
        [AS_FLAG] = s_read_flag,         [AS_YES_NO] = s_read_flag,
        [AS_TEXT] = s_read_text,         [AS_GUID] = s_read_guid,
        [AS_PATH] = s_read_text,         [AS_TABLE] = s_read_table,
        [AS_LVM_NAME] = s_read_lvm_name, [AS_LVM_UUID] = s_read_lvm_uuid,
        [AS_ROOT] = s_read_root};
    const bool is_there = rmt_record_has(self->record, row->name);
    const char *text = rmt_record_text(self->record, row->name, NULL);
    if (text)
        return readers[row->kind](self, row, text, (char *) item + row->offset);
    return is_there || row->is_required
               ? s_refuse(self, row->name, is_there ? "text" : "there")
               : 0;
}

static const rmt_layout_row_t *
s_find_row(const table_t *table, const char *name)
{
    for (size_t i = 0; i < table->own->count; i++)
        if (strcmp(table->own->rows[i].name, name) == 0)
            return &table->own->rows[i];
    return NULL;
}

static bool
s_has_word(const char *words, const char *word)
{
    const size_t size = strlen(word);
    for (const char *at = words; size && (at = strstr(at, word)); at += size)
        if ((at == words || at[-1] == ' ') && (at[size] == ' ' || at[size] == '\0'))
            return true;
    return false;
}

// An unknown field may be a known one with a typing error.
static int
s_refuse_stranger(const reading_t *self, const table_t *table, const char *name)
{
    return s_has_word(table->others, name) || s_find_row(table, name)
               ? 0
               : s_refuse(self, name, "absent, because this field does not exist");
}

static int
s_read_fields(const reading_t *self, const table_t *table, void *item)
{
    for (size_t i = 0; table->others && i < rmt_record_count(self->record); i++)
        if (s_refuse_stranger(self, table, rmt_record_name_at(self->record, i)) == -1)
            return -1;
    for (size_t i = 0; i < table->own->count; i++)
        if (s_read_field(self, &table->own->rows[i], item) == -1)
            return -1;
    return 0;
}

// ---- Classes

static bool
s_is_full(const reading_t *self, size_t count, size_t most, const char *what)
{
    return count == most && rmt_fail(self->error, RMT_E_TOO_BIG,
                                     "the layout has more than %zu %s", most, what);
}

static int
s_read_disk(rmt_layout_t *self, const reading_t *reading)
{
    const table_t table = {&rmt_layout_disk_rows, "class part role"};
    const char *role = rmt_record_text(reading->record, "role", "");
    if (s_is_full(reading, self->disk_count, RMT_LAYOUT_DISKS_MAX, "disks"))
        return -1;
    if (!rmt_record_name_is_valid(role))
        return s_refuse(reading, "role", "a name such as system");
    return s_read_fields(reading, &table, rmt_layout_add_disk(self, role));
}

// Index of the disk that a partition or volume names. 0, or -1.
static int
s_find_disk(const rmt_layout_t *self, const reading_t *reading, size_t *disk_out)
{
    const char *role = rmt_record_text(reading->record, "disk", "");
    const rmt_layout_disk_t *disk = rmt_layout_find_disk(self, role);
    if (!disk)
        return s_refuse(reading, "disk", "the role of a disk of this layout");
    *disk_out = (size_t) (disk - self->disks);
    return 0;
}

static int
s_read_partition(rmt_layout_t *self, const reading_t *reading)
{
    size_t disk = 0;
    if (s_is_full(reading, self->partition_count, RMT_LAYOUT_PARTITIONS_MAX,
                  "partitions") ||
        s_find_disk(self, reading, &disk) == -1)
        return -1;
    const table_t table = {&rmt_layout_partition_rows, "class part disk"};
    return s_read_fields(reading, &table, rmt_layout_add_partition(self, disk));
}

static int
s_read_array(rmt_layout_t *self, const reading_t *reading)
{
    const table_t table = {&rmt_layout_array_rows, "class part"};
    if (s_is_full(reading, self->array_count, RMT_LAYOUT_ARRAYS_MAX, "arrays"))
        return -1;
    return s_read_fields(reading, &table, rmt_layout_add_array(self, ""));
}

static int
s_read_member(rmt_layout_t *self, const reading_t *reading)
{
    const table_t table = {&rmt_layout_member_rows, "class part disk array"};
    size_t disk = 0;
    if (s_is_full(reading, self->member_count, RMT_LAYOUT_MEMBERS_MAX,
                  "members of arrays") ||
        s_find_disk(self, reading, &disk) == -1)
        return -1;
    const rmt_layout_array_t *array =
        rmt_layout_find_array(self, rmt_record_text(reading->record, "array", ""));
    if (!array)
        return s_refuse(reading, "array", "the uuid of an array of this layout");
    rmt_layout_member_t *member = rmt_layout_add_member(self, disk);
    member->array = (size_t) (array - self->arrays);
    return s_read_fields(reading, &table, member);
}

static int
s_read_crypt(rmt_layout_t *self, const reading_t *reading)
{
    const table_t table = {&rmt_layout_crypt_rows, "class part disk"};
    size_t disk = 0;
    if (s_is_full(reading, self->crypt_count, RMT_LAYOUT_CRYPTS_MAX,
                  "encrypted partitions") ||
        s_find_disk(self, reading, &disk) == -1)
        return -1;
    return s_read_fields(reading, &table, rmt_layout_add_crypt(self, disk));
}

static int
s_read_group(rmt_layout_t *self, const reading_t *reading)
{
    const table_t table = {&rmt_layout_group_rows, "class part"};
    if (s_is_full(reading, self->group_count, RMT_LAYOUT_GROUPS_MAX, "groups"))
        return -1;
    return s_read_fields(reading, &table, rmt_layout_add_group(self, ""));
}

// Index of the group that a physical or logical volume names. 0, or -1.
static int
s_find_group(const rmt_layout_t *self, const reading_t *reading, size_t *group_out)
{
    const rmt_layout_group_t *group =
        rmt_layout_find_group(self, rmt_record_text(reading->record, "group", ""));
    if (!group)
        return s_refuse(reading, "group", "the name of a group of this layout");
    *group_out = (size_t) (group - self->groups);
    return 0;
}

static int
s_read_physical(rmt_layout_t *self, const reading_t *reading)
{
    const table_t table = {&rmt_layout_physical_rows, "class part disk group"};
    size_t disk = 0, group = 0;
    if (s_is_full(reading, self->physical_count, RMT_LAYOUT_PHYSICALS_MAX,
                  "physical volumes") ||
        s_find_disk(self, reading, &disk) == -1 ||
        s_find_group(self, reading, &group) == -1)
        return -1;
    rmt_layout_physical_t *physical = rmt_layout_add_physical(self, disk);
    physical->group = group;
    return s_read_fields(reading, &table, physical);
}

static int
s_read_logical(rmt_layout_t *self, const reading_t *reading)
{
    const table_t table = {&rmt_layout_logical_rows, "class part disk group"};
    size_t disk = 0, group = 0;
    if (s_is_full(reading, self->logical_count, RMT_LAYOUT_LOGICALS_MAX,
                  "logical volumes") ||
        s_find_disk(self, reading, &disk) == -1 ||
        s_find_group(self, reading, &group) == -1)
        return -1;
    rmt_layout_logical_t *logical = rmt_layout_add_logical(self, disk);
    logical->group = group;
    return s_read_fields(reading, &table, logical);
}

static int
s_read_piece(rmt_layout_t *self, const reading_t *reading)
{
    const table_t table = {&rmt_layout_piece_rows, "class part disk group logical"};
    size_t disk = 0, group = 0;
    if (s_is_full(reading, self->piece_count, RMT_LAYOUT_PIECES_MAX,
                  "pieces of logical volumes") ||
        s_find_disk(self, reading, &disk) == -1 ||
        s_find_group(self, reading, &group) == -1)
        return -1;
    rmt_auto_str path = rmt_text("%s/%s", self->groups[group].name,
                                 rmt_record_text(reading->record, "logical", ""));
    const rmt_layout_logical_t *logical = rmt_layout_find_logical(self, path);
    if (!logical)
        return s_refuse(reading, "logical", "the name of a logical volume of its group");
    rmt_layout_piece_t *piece =
        rmt_layout_add_piece(self, (size_t) (logical - self->logicals));
    piece->disk = disk;
    return s_read_fields(reading, &table, piece);
}

static int
s_read_format_field(const reading_t *reading, const char *name, bool *is_format_out)
{
    static const table_t table = {&rmt_layout_volume_rows, "class part disk"};
    uint64_t number;
    const bool is_number = s_has_word(s_format_numbers, name);
    *is_format_out = is_number || s_has_word(s_format_texts, name);
    if (!*is_format_out)
        return s_refuse_stranger(reading, &table, name);
    const char *text = rmt_record_text(reading->record, name, NULL);
    if (!text)
        return s_refuse(reading, name, "text");
    return !is_number || s_parse_number(text, &number)
               ? 0
               : s_refuse(reading, name, "a number");
}

static int
s_find_fs(const char *name, rmt_fs_kind_t *fs_out)
{
    for (rmt_fs_kind_t fs = RMT_FS_NONE; rmt_fs_kind_name(fs); fs++) {
        if (strcmp(rmt_fs_kind_name(fs), name) == 0) {
            *fs_out = fs;
            return 0;
        }
    }
    return -1;
}

// The fields of the format out of those of the volume, in the order they come in.
static int
s_read_format(const reading_t *reading, rmt_layout_volume_t *volume)
{
    for (size_t i = 0; i < rmt_record_count(reading->record); i++) {
        const char *name = rmt_record_name_at(reading->record, i);
        bool is_format = false;
        if (s_read_format_field(reading, name, &is_format) == -1)
            return -1;
        if (is_format)
            rmt_record_set(volume->format, name,
                           rmt_record_text(reading->record, name, ""));
    }
    if (s_find_fs(rmt_record_text(volume->format, "fs", ""), &volume->fs) == -1)
        return s_refuse(reading, "fs",
                        "ext2, ext3, ext4, xfs, btrfs, vfat, swap, raw or none");
    return 0;
}

int
rmt_layout_set_format(rmt_layout_volume_t *volume, rmt_record_t **format_p,
                      rmt_error_t *error)
{
    rmt_auto(rmt_record) format = rmt_take(format_p);
    const reading_t reading = {.record = format, .error = error};
    return s_read_format(&reading, volume);
}

static int
s_read_volume(rmt_layout_t *self, const reading_t *reading)
{
    size_t disk = 0;
    if (s_is_full(reading, self->volume_count, RMT_LAYOUT_VOLUMES_MAX, "volumes") ||
        s_find_disk(self, reading, &disk) == -1)
        return -1;
    static const table_t table = {&rmt_layout_volume_rows, NULL};
    rmt_layout_volume_t *volume = rmt_layout_add_volume(self, disk);
    return s_read_fields(reading, &table, volume) == -1 ? -1
                                                        : s_read_format(reading, volume);
}

static int
s_read_swap(rmt_layout_t *self, const reading_t *reading)
{
    size_t disk = 0;
    if (s_is_full(reading, self->swap_count, RMT_LAYOUT_SWAPS_MAX, "swap files") ||
        s_find_disk(self, reading, &disk) == -1)
        return -1;
    const table_t table = {&rmt_layout_swap_rows, "class part disk"};
    rmt_grow_one(&self->swaps, self->swap_count);
    rmt_layout_swap_t *swap = &self->swaps[self->swap_count++];
    *swap = (rmt_layout_swap_t){.disk = disk};
    return s_read_fields(reading, &table, swap);
}

// ---- All of them

static const struct {
    const char *class;
    int (*read)(rmt_layout_t *self, const reading_t *reading);
} s_classes[] = {{"disk", s_read_disk},         {"partition", s_read_partition},
                 {"array", s_read_array},       {"member", s_read_member},
                 {"crypt", s_read_crypt},       {"group", s_read_group},
                 {"physical", s_read_physical}, {"logical", s_read_logical},
                 {"piece", s_read_piece},       {"volume", s_read_volume},
                 {"swap-file", s_read_swap}};

#define CLASS_COUNT (sizeof s_classes / sizeof *s_classes)

static bool
s_is_of_layout(const rmt_record_t *record)
{
    return strcmp(rmt_record_text(record, "part", "layout"), "layout") == 0;
}

static int
s_check_class(const rmt_record_t *record, rmt_error_t *error)
{
    const char *class = rmt_record_text(record, "class", "");
    for (size_t i = 0; i < CLASS_COUNT; i++)
        if (strcmp(s_classes[i].class, class) == 0)
            return 0;
    return rmt_fail(
        error, RMT_E_USAGE,
        "the layout has a record of class '%.60s'; it must be disk, "
        "partition, array, member, crypt, group, physical, logical, piece, volume "
        "or swap-file",
        class);
}

// Disks first, as the others name them: records may stand in any order.
static int
s_read_class(rmt_layout_t *self, size_t class, const rmt_records_t *records,
             rmt_error_t *error)
{
    for (size_t i = 0; i < rmt_records_count(records); i++) {
        const rmt_record_t *record = rmt_records_at(records, i);
        const reading_t reading = {.record = record, .error = error};
        if (s_is_of_layout(record) &&
            strcmp(rmt_record_text(record, "class", ""), s_classes[class].class) == 0 &&
            s_classes[class].read(self, &reading) == -1)
            return -1;
    }
    return 0;
}

rmt_layout_t *
rmt_layout_read(const rmt_records_t *records, rmt_error_t *error)
{
    assert(records);
    rmt_auto(rmt_layout) self = rmt_layout_new();
    for (size_t i = 0; i < rmt_records_count(records); i++) {
        const rmt_record_t *record = rmt_records_at(records, i);
        if (s_is_of_layout(record) && s_check_class(record, error) == -1)
            return NULL;
    }
    for (size_t class = 0; class < CLASS_COUNT; class ++)
        if (s_read_class(self, class, records, error) == -1)
            return NULL;
    return rmt_layout_check(self, error) == -1 ||
                   rmt_layout_check_spread(self, error) == -1
               ? NULL
               : rmt_take(&self);
}
