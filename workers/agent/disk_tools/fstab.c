#include "agent/disk_tools/fstab.h"
#include "agent/disk_tools/device_name.h"
#include "base/rmt_auto.h"
#include "base/rmt_rooted.h"
#include "base/rmt_escape.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define FILE_SIZE_MAX ((size_t) 1024 * 1024)
#define ROOT_NAME "/dev/root"
#define MAPPER "/dev/mapper/"

struct rmt_fstab {
    rmt_mount_table_t *table;
    rmt_fstab_place_t place;
    // How the machine calls the disk of the table; NULL when it is asked, or unknown.
    char *own;
    bool is_guess;
};

// ---- Names

// The line of / tells how the machine calls this disk; else it has the usual name.
static void
s_find_own(rmt_fstab_t *self)
{
    uint64_t number = 0;
    for (size_t i = 0; i < rmt_mount_table_count(self->table); i++) {
        const rmt_mount_line_t *line = rmt_mount_table_at(self->table, i);
        rmt_auto_str disk = NULL;
        if (*line->tag || !rmt_device_name_split(line->value, &disk, &number))
            continue;
        const bool is_root = strcmp(line->folder, "/") == 0;
        if (is_root && self->place.root && number != self->place.root)
            continue;
        if (is_root || (!self->own && rmt_device_name_is_first(disk))) {
            free(self->own);
            self->own = rmt_take(&disk);
            self->is_guess = !is_root;
        }
        if (is_root)
            return;
    }
}

rmt_fstab_t *
rmt_fstab_new(const char *text, const rmt_fstab_place_t *place, rmt_error_t *error)
{
    assert(text && place);
    rmt_auto(rmt_fstab) self = calloc(1, sizeof *self);
    if (!self)
        abort();
    self->place = *place;
    self->table = rmt_mount_table_fstab(text, error);
    if (!self->table)
        return NULL;
    if (!place->disk_count)
        s_find_own(self);
    return rmt_take(&self);
}

int
rmt_fstab_load(int root, const rmt_fstab_place_t *place, rmt_fstab_t **self_out,
               rmt_error_t *error)
{
    size_t size = 0;
    rmt_auto_str text = NULL;
    if (rmt_rooted_load(root, "etc/fstab", &text, &size, error) == -1)
        return -1;
    if (size > FILE_SIZE_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG,
                        "/etc/fstab has %zu bytes, and at most %zu are read", size,
                        FILE_SIZE_MAX);
    *self_out = text ? rmt_fstab_new(text, place, error) : NULL;
    return text && !*self_out ? -1 : 0;
}

void
rmt_fstab_destroy(rmt_fstab_t **self_p)
{
    rmt_fstab_t *self = *self_p;
    if (!self)
        return;
    rmt_mount_table_destroy(&self->table);
    free(self->own);
    free(self);
    *self_p = NULL;
}

const rmt_mount_table_t *
rmt_fstab_table(const rmt_fstab_t *self)
{
    return self->table;
}

bool
rmt_fstab_is_guess(const rmt_fstab_t *self)
{
    return self->is_guess;
}

static bool
s_is_device(const rmt_fstab_t *self, const char *path, const rmt_layout_t *layout,
            const rmt_layout_volume_t *volume)
{
    uint64_t found = 0;
    rmt_auto_str disk = NULL;
    const uint64_t number = volume->partition;
    if (volume->disk < self->place.disk_count)
        return rmt_device_name_find(path, self->place.disks[volume->disk], &found) &&
               found == number;
    if (volume->disk != self->place.root_disk)
        return false;
    if (strcmp(path, ROOT_NAME) == 0)
        return number == self->place.root;
    return self->own && !(self->is_guess && layout->disk_count > 1) &&
           rmt_device_name_split(path, &disk, &found) && found == number &&
           strcmp(disk, self->own) == 0;
}

// ---- Volumes

typedef struct {
    const char *tag;
    char *value;
} name_t;

// The links that udev makes say what the tags say. Caller owns the value.
static name_t
s_name(const rmt_mount_line_t *line)
{
    static const struct {
        const char *folder, *tag;
    } rows[] = {{"/dev/disk/by-uuid/", "UUID"},
                {"/dev/disk/by-label/", "LABEL"},
                {"/dev/disk/by-partuuid/", "PARTUUID"},
                {"/dev/disk/by-partlabel/", "PARTLABEL"}};
    for (size_t i = 0; !*line->tag && i < sizeof rows / sizeof *rows; i++)
        if (strncmp(line->value, rows[i].folder, strlen(rows[i].folder)) == 0)
            return (name_t){
                rows[i].tag,
                rmt_escape_undo(rmt_text("%s", line->value + strlen(rows[i].folder)))};
    if (strcmp(line->tag, "ID") == 0)
        return (name_t){"", rmt_text("/dev/disk/by-id/%s", line->value)};
    return (name_t){line->tag, rmt_text("%s", line->value)};
}

// The letters of a uuid without its dashes. Returns the end.
static char *
s_put_uuid(char *out, const char *uuid)
{
    for (; *uuid; uuid++)
        if (*uuid != '-')
            *out++ = *uuid;
    *out = '\0';
    return out;
}

// /dev/GROUP/NAME, /dev/mapper/GROUP-NAME with each dash of a name twice, and the links
// that udev makes of the latter and of the uuids.
static bool
s_is_logical(const char *path, const rmt_layout_t *layout,
             const rmt_layout_volume_t *volume)
{
    const rmt_layout_logical_t *logical = rmt_layout_logical_of(layout, volume);
    if (!logical)
        return false;
    const rmt_layout_group_t *group = &layout->groups[logical->group];
    char uuids[2 * RMT_LAYOUT_LVM_SIZE];
    s_put_uuid(s_put_uuid(uuids, group->uuid), logical->uuid);
    rmt_auto_str node = rmt_layout_lvm_node(group->name, logical->name);
    const char *name = node + strlen(MAPPER);
    const struct {
        const char *folder, *name;
    } rows[] = {{"/dev/", volume->logical},
                {MAPPER, name},
                {"/dev/disk/by-id/dm-name-", name},
                {"/dev/disk/by-id/dm-uuid-LVM-", uuids}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const size_t size = strlen(rows[i].folder);
        if (strncmp(path, rows[i].folder, size) == 0 &&
            strcmp(path + size, rows[i].name) == 0)
            return true;
    }
    return false;
}

// /dev/md/NAME and what udev makes of name and uuid; /dev/mdN where the name or the old
// superblock says the number.
static bool
s_is_array(const char *path, const rmt_layout_array_t *array)
{
    char uuid[RMT_LAYOUT_GUID_SIZE] = "";
    const char *name = array->name ? array->name : "";
    const char *colon = strchr(name, ':');
    const char *own = colon ? colon + 1 : name;
    const bool has_number = *own && strspn(own, "0123456789") == strlen(own);
    rmt_auto_str number = has_number ? rmt_text("%s", own)
                          : *name    ? rmt_text("%s", "")
                                     : rmt_text("%" PRIu64, array->minor);
    for (size_t i = 0; i < 4; i++)
        snprintf(uuid + i * 9, 10, "%.8s:", array->uuid + i * 8);
    uuid[35] = '\0';
    const struct {
        const char *folder, *name;
    } rows[] = {{"/dev/md", number},
                {"/dev/md/", *own ? own : number},
                {"/dev/md/", name},
                {"/dev/disk/by-id/md-name-", name},
                {"/dev/disk/by-id/md-uuid-", uuid}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const size_t size = strlen(rows[i].folder);
        if (*rows[i].name && strncmp(path, rows[i].folder, size) == 0 &&
            strcmp(path + size, rows[i].name) == 0)
            return true;
    }
    return false;
}

// /dev/mapper/NAME and what udev makes of name and uuid.
static bool
s_is_crypt(const char *path, const rmt_layout_crypt_t *crypt)
{
    char digits[RMT_LAYOUT_GUID_SIZE];
    s_put_uuid(digits, crypt->uuid);
    const char *name = crypt->name ? crypt->name : "";
    rmt_auto_str node = rmt_text(MAPPER "%s", name);
    rmt_auto_str by_name = rmt_text("/dev/disk/by-id/dm-name-%s", name);
    rmt_auto_str by_uuid = rmt_text("/dev/disk/by-id/dm-uuid-CRYPT-LUKS%" PRIu64 "-%s-%s",
                                    crypt->version, digits, name);
    return *name && (strcmp(path, node) == 0 || strcmp(path, by_name) == 0 ||
                     strcmp(path, by_uuid) == 0);
}

static bool
s_is_name(const rmt_fstab_t *self, const name_t *name, const rmt_layout_t *layout,
          const rmt_layout_volume_t *volume)
{
    const rmt_layout_partition_t *partition = rmt_layout_partition_of(layout, volume);
    const struct {
        const char *tag, *value;
        int (*compare)(const char *one, const char *two);
    } rows[] = {
        {"UUID", rmt_record_text(volume->format, "uuid", ""), strcasecmp},
        {"LABEL", rmt_record_text(volume->format, "label", ""), strcmp},
        {"PARTUUID", partition ? partition->guid : "", strcasecmp},
        {"PARTLABEL", partition && partition->name ? partition->name : "", strcmp}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].tag, name->tag) == 0)
            return *rows[i].value && rows[i].compare(rows[i].value, name->value) == 0;
    if (*name->tag)
        return false;
    const rmt_layout_array_t *array = rmt_layout_array_of(layout, volume);
    const rmt_layout_crypt_t *crypt = rmt_layout_crypt_of(layout, volume);
    if (array)
        return s_is_array(name->value, array);
    if (crypt)
        return s_is_crypt(name->value, crypt);
    return volume->logical ? s_is_logical(name->value, layout, volume)
                           : s_is_device(self, name->value, layout, volume);
}

bool
rmt_fstab_is_volume(const rmt_fstab_t *self, const rmt_mount_line_t *line,
                    const rmt_layout_t *layout, const rmt_layout_volume_t *volume)
{
    name_t name = s_name(line);
    const bool is_same = s_is_name(self, &name, layout, volume);
    free(name.value);
    return is_same;
}

static bool
s_is_value(const char *value, size_t size, const char *text)
{
    return strlen(text) == size && strncmp(value, text, size) == 0;
}

static bool
s_is_number(const char *value, size_t size, uint64_t number)
{
    rmt_auto_str text = rmt_text("%" PRIu64, number);
    return s_is_value(value, size, text);
}

// Among subvolumes the options tell which one; without a word it is the default one.
static bool
s_is_subvolume(const rmt_mount_line_t *line, const rmt_layout_volume_t *volume)
{
    const char *value = NULL;
    size_t size = 0;
    if (!volume->subvolume)
        return true;
    if (rmt_mount_option(line, "subvol", &value, &size) && value) {
        const size_t slash = size && value[0] == '/';
        return s_is_value(value + slash, size - slash, volume->subvolume);
    }
    if (rmt_mount_option(line, "subvolid", &value, &size) && value)
        return s_is_number(value, size, volume->subvolume_id) ||
               (s_is_value(value, size, "0") && !*volume->subvolume);
    return volume->is_default;
}

char *
rmt_fstab_mount(const rmt_fstab_t *self, const rmt_layout_t *layout,
                const rmt_layout_volume_t *volume)
{
    for (size_t i = 0; i < rmt_mount_table_count(self->table); i++) {
        const rmt_mount_line_t *line = rmt_mount_table_at(self->table, i);
        if (line->folder[0] == '/' && rmt_fstab_is_volume(self, line, layout, volume) &&
            s_is_subvolume(line, volume))
            return rmt_text("%s", line->folder);
    }
    return NULL;
}

char *
rmt_fstab_root_uuid(const rmt_fstab_t *self)
{
    for (size_t i = 0; i < rmt_mount_table_count(self->table); i++) {
        const rmt_mount_line_t *line = rmt_mount_table_at(self->table, i);
        if (strcmp(line->folder, "/") == 0 && strcmp(line->tag, "UUID") == 0 &&
            strlen(line->value) == 36)
            return rmt_text("%s", line->value);
    }
    return NULL;
}

// ---- Subvolumes by path in place of their numbers

// The path of the subvolume with this number on the device of a line, or NULL.
static const char *
s_find_path(const rmt_fstab_t *self, const rmt_mount_line_t *line,
            const rmt_layout_t *layout, const char *id, size_t size)
{
    for (size_t i = 0; i < layout->volume_count; i++) {
        const rmt_layout_volume_t *volume = &layout->volumes[i];
        if (volume->subvolume && s_is_number(id, size, volume->subvolume_id) &&
            rmt_fstab_is_volume(self, line, layout, volume))
            return volume->subvolume;
    }
    return NULL;
}

// The fourth word of a line.
static const char *
s_options_word(const char *raw, size_t *size_out)
{
    for (int i = 0; i < 3; i++) {
        raw += strspn(raw, " \t");
        raw += strcspn(raw, " \t");
    }
    raw += strspn(raw, " \t");
    *size_out = strcspn(raw, " \t\r");
    return raw;
}

// Where an option stands in a word, with its value; NULL when it does not.
static const char *
s_find_option(const char *word, size_t word_size, const char *name, size_t *size_out)
{
    for (size_t at = 0; at < word_size;) {
        const size_t size = strcspn(word + at, ", \t\r");
        if (strncmp(word + at, name, strlen(name)) == 0 &&
            word[at + strlen(name)] == '=') {
            *size_out = size;
            return word + at;
        }
        at += size + 1;
    }
    return NULL;
}

// The line with subvol= where it had subvolid=, or NULL when it stays.
static char *
s_change_line(const rmt_fstab_t *self, const char *raw, const rmt_layout_t *layout)
{
    rmt_error_t none = {0};
    rmt_auto(rmt_mount_table) table = rmt_mount_table_fstab(raw, &none);
    const char *value = NULL;
    size_t size = 0, word_size = 0, option_size = 0, named_size = 0;
    if (!table || rmt_mount_table_count(table) != 1)
        return NULL;
    const rmt_mount_line_t *line = rmt_mount_table_at(table, 0);
    if (!rmt_mount_option(line, "subvolid", &value, &size) || !value)
        return NULL;
    const char *found = s_find_path(self, line, layout, value, size);
    const char *word = s_options_word(raw, &word_size);
    const char *option = s_find_option(word, word_size, "subvolid", &option_size);
    if (!found || !option)
        return NULL;
    const char *rest = option + option_size;
    const int before = (int) (option - raw);
    // The path may stand there already; then the number is only taken out.
    if (s_find_option(word, word_size, "subvol", &named_size)) {
        const int comma = option > word;
        return rmt_text("%.*s%s", before - comma, raw, rest + (!comma && *rest == ','));
    }
    rmt_auto_str path = rmt_mount_word(found);
    return rmt_text("%.*ssubvol=/%s%s", before, raw, path, rest);
}

char *
rmt_fstab_by_path(const char *text, const rmt_layout_t *layout)
{
    rmt_error_t none = {0};
    const rmt_layout_volume_t *root = rmt_layout_root(layout);
    const rmt_fstab_place_t place = {.root_disk = root ? root->disk : 0,
                                     .root = root ? root->partition : 0};
    // A line that cannot be read was refused on the source.
    rmt_auto(rmt_fstab) self = rmt_fstab_new(text, &place, &none);
    rmt_auto_str copy = rmt_text("%s", text);
    rmt_auto_str all = rmt_text("%s", "");
    char *rest = copy, *line;
    bool is_changed = false;
    while (self && (line = strsep(&rest, "\n"))) {
        rmt_auto_str changed = s_change_line(self, line, layout);
        is_changed = is_changed || changed;
        char *longer =
            rmt_text("%s%s%s", all, changed ? changed : line, rest ? "\n" : "");
        free(all);
        all = longer;
    }
    return is_changed ? rmt_take(&all) : NULL;
}
