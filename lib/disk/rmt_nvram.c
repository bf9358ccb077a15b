#include "disk/rmt_nvram.h"
#include "base/rmt_auto.h"
#include "base/rmt_bytes.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/fs.h>

#define GLOBAL "8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define MARK " (ramet)"
#define VARIABLE_MAX 4096
#define ENTRIES_MAX 256
#define TEXT_MAX 256
// Kept over a restart, seen at boot and at run time.
#define ATTRIBUTES 7
#define ACTIVE 1

// Device paths: nodes of type, subtype, size.
#define HEAD_SIZE 4
#define TYPE_MESSAGING 3
#define TYPE_MEDIA 4
#define TYPE_END 0x7f
#define MEDIA_DISK 1
#define MEDIA_FILE 4
#define DISK_SIZE 42

typedef struct {
    uint16_t number;
    char label[TEXT_MAX];
    char path[TEXT_MAX];
    uint8_t disk[DISK_SIZE]; // Zeros when there is none
    uint8_t options[RMT_NVRAM_OPTIONS_MAX];
    size_t options_size; // Of all, also when they are too many to be kept
    bool is_network, is_active;
} option_t;

typedef struct {
    uint8_t data[VARIABLE_MAX]; // Attributes first, as efivarfs has it
    size_t size;
} variable_t;

typedef struct {
    const char *folder;
    option_t *options; // ENTRIES_MAX
    size_t count;
    uint16_t order[ENTRIES_MAX];
    size_t order_count;
} nvram_t;

// ---- Numbers and texts

static void
s_put(variable_t *variable, uint64_t number, size_t size)
{
    assert(variable->size + size <= sizeof variable->data);
    for (size_t i = 0; i < size; i++, number >>= 8)
        variable->data[variable->size++] = (uint8_t) number;
}

static void
s_put_text(variable_t *variable, const char *text)
{
    for (; *text; text++)
        s_put(variable, *text == '/' ? '\\' : (uint8_t) *text, 2);
    s_put(variable, 0, 2);
}

// Text of 16-bit units up to its end mark. Returns its size in bytes with the mark, 0
// when there is none.
static size_t
s_take_text(const uint8_t *at, size_t size, char text[TEXT_MAX])
{
    size_t used = 0;
    for (size_t i = 0; i + 2 <= size; i += 2) {
        const uint64_t unit = rmt_get_le(at + i, 2);
        if (unit == 0) {
            text[used] = '\0';
            return i + 2;
        }
        if (used < TEXT_MAX - 1)
            text[used++] = unit == '\\'               ? '/'
                           : unit >= 32 && unit < 127 ? (char) unit
                                                      : '?';
    }
    text[used] = '\0';
    return 0;
}

// ---- Load options

// Look at the nodes of a device path; a damaged one ends the walk.
static void
s_take_path(const uint8_t *at, size_t size, option_t *option)
{
    static const uint8_t network[] = {0x0b, 0x0c, 0x0d, 0x18};
    while (size >= HEAD_SIZE) {
        const size_t node = (size_t) rmt_get_le(at + 2, 2);
        if (at[0] == TYPE_END || node < HEAD_SIZE || node > size)
            return;
        if (at[0] == TYPE_MEDIA && at[1] == MEDIA_DISK && node == DISK_SIZE)
            memcpy(option->disk, at, DISK_SIZE);
        if (at[0] == TYPE_MEDIA && at[1] == MEDIA_FILE)
            (void) s_take_text(at + HEAD_SIZE, node - HEAD_SIZE, option->path);
        if (at[0] == TYPE_MESSAGING && memchr(network, at[1], sizeof network))
            option->is_network = true;
        at += node;
        size -= node;
    }
}

static void
s_decode(const variable_t *variable, option_t *option)
{
    const size_t head = 4 + 4 + 2;
    if (variable->size < head)
        return;
    const size_t path_size = (size_t) rmt_get_le(variable->data + 8, 2);
    const size_t label =
        s_take_text(variable->data + head, variable->size - head, option->label);
    const size_t behind = head + label + path_size;
    if (!label || behind > variable->size)
        return;
    s_take_path(variable->data + head + label, path_size, option);
    option->is_active = (rmt_get_le(variable->data + 4, 4) & ACTIVE) != 0;
    option->options_size = variable->size - behind;
    if (option->options_size <= sizeof option->options)
        memcpy(option->options, variable->data + behind, option->options_size);
}

// Bytes of a GUID as firmware keeps them: the first three numbers with their low bytes
// first. A DOS table is known by its id.
static int
s_put_signature(variable_t *variable, const char *guid, rmt_error_t *error)
{
    static const char order[] = "\6\4\2\0\13\11\20\16\23\25\30\32\34\36\40\42";
    unsigned id = 0, byte = 0;
    if (strncmp(guid, "0x", 2) == 0 && sscanf(guid + 2, "%8x", &id) == 1) {
        s_put(variable, id, 4);
        for (size_t i = 4; i < 16; i++)
            s_put(variable, 0, 1);
        s_put(variable, 1, 1);
        s_put(variable, 1, 1);
        return 0;
    }
    for (size_t i = 0; i < 16; i++) {
        if (strlen(guid) != 36 || sscanf(guid + order[i], "%2x", &byte) != 1)
            return rmt_fail(error, RMT_E_USAGE, "'%.40s' is not the GUID of a partition",
                            guid);
        s_put(variable, byte, 1);
    }
    s_put(variable, 2, 1);
    s_put(variable, 2, 1);
    return 0;
}

static int
s_encode(const rmt_nvram_entry_t *entry, variable_t *variable, rmt_error_t *error)
{
    const size_t file_size = HEAD_SIZE + (strlen(entry->path) + 2) * 2;
    if (strlen(entry->label) > 64 || strlen(entry->path) >= TEXT_MAX - 2 ||
        entry->options_size > RMT_NVRAM_OPTIONS_MAX)
        return rmt_fail(error, RMT_E_USAGE,
                        "label, path or options of a boot entry are too long");
    variable->size = 0;
    s_put(variable, ATTRIBUTES, 4);
    s_put(variable, ACTIVE, 4);
    s_put(variable, DISK_SIZE + file_size + HEAD_SIZE, 2);
    rmt_auto_str label = rmt_text("%s" MARK, entry->label);
    s_put_text(variable, label);
    s_put(variable, TYPE_MEDIA | MEDIA_DISK << 8, 2);
    s_put(variable, DISK_SIZE, 2);
    s_put(variable, entry->partition, 4);
    s_put(variable, entry->start, 8);
    s_put(variable, entry->sectors, 8);
    if (s_put_signature(variable, entry->guid, error) == -1)
        return -1;
    s_put(variable, TYPE_MEDIA | MEDIA_FILE << 8, 2);
    s_put(variable, file_size, 2);
    rmt_auto_str path = rmt_text("/%s", entry->path);
    s_put_text(variable, path);
    s_put(variable, TYPE_END | 0xff << 8, 2);
    s_put(variable, HEAD_SIZE, 2);
    for (size_t i = 0; i < entry->options_size; i++)
        s_put(variable, ((const uint8_t *) entry->options)[i], 1);
    return 0;
}

// ---- Variables

static char *
s_path(const nvram_t *self, const char *name)
{
    return rmt_text("%s/%s-" GLOBAL, self->folder, name);
}

// False with errno when it cannot be read: ENOENT when it is not there, or empty.
static bool
s_read(const nvram_t *self, const char *name, variable_t *variable)
{
    rmt_auto_str path = s_path(self, name);
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t size = fd == -1 ? -1 : read(fd, variable->data, sizeof variable->data);
    variable->size = size > 0 ? (size_t) size : 0;
    if (size == 0)
        errno = ENOENT;
    return size > 0;
}

// The kernel guards variables against careless removal.
static void
s_unguard(const char *path)
{
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    int flags = 0;
    if (fd == -1 || ioctl(fd, FS_IOC_GETFLAGS, &flags) == -1 ||
        !(flags & FS_IMMUTABLE_FL))
        return;
    flags &= ~FS_IMMUTABLE_FL;
    (void) ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

// One call to write is one call to the firmware.
static int
s_write(const nvram_t *self, const char *name, const variable_t *variable,
        rmt_error_t *error)
{
    variable_t back;
    if (s_read(self, name, &back) && back.size == variable->size &&
        memcmp(back.data, variable->data, back.size) == 0)
        return 0;
    rmt_auto_str path = s_path(self, name);
    s_unguard(path);
    rmt_auto_fd fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd == -1)
        return rmt_fail_errno(error, "write firmware variable %s", name);
    const ssize_t size = write(fd, variable->data, variable->size);
    if (size != (ssize_t) variable->size)
        return rmt_fail_errno(error, "the firmware refuses variable %s", name);
    // A shorter value; on efivarfs this has happened already.
    (void) ftruncate(fd, size);
    if (!s_read(self, name, &back) || back.size != variable->size ||
        memcmp(back.data, variable->data, back.size) != 0)
        return rmt_fail(error, RMT_E_CORRUPT, "the firmware did not keep variable %s",
                        name);
    return 0;
}

static void
s_remove(const nvram_t *self, uint16_t number)
{
    rmt_auto_str name = rmt_text("Boot%04X", number);
    rmt_auto_str path = s_path(self, name);
    s_unguard(path);
    (void) unlink(path);
}

static bool
s_is_option(const char *name)
{
    if (strncmp(name, "Boot", 4) != 0 || strcasecmp(name + 8, "-" GLOBAL) != 0)
        return false;
    for (size_t i = 4; i < 8; i++)
        if (!isxdigit((unsigned char) name[i]))
            return false;
    return true;
}

static int
s_compare(const void *one, const void *two)
{
    const option_t *a = one;
    const option_t *b = two;
    return (int) a->number - (int) b->number;
}

static int
s_load_options(nvram_t *self, DIR *dir, rmt_error_t *error)
{
    variable_t variable;
    struct dirent *item;
    while ((void) (errno = 0), (item = readdir(dir))) {
        if (strlen(item->d_name) < 8 || !s_is_option(item->d_name))
            continue;
        if (self->count == ENTRIES_MAX)
            return rmt_fail(
                error, RMT_E_TOO_BIG,
                "the firmware has more than %d boot entries; remove some with efibootmgr",
                ENTRIES_MAX);
        rmt_auto_str name = rmt_text("%.8s", item->d_name);
        option_t *option = &self->options[self->count++];
        option->number = (uint16_t) strtoul(name + 4, NULL, 16);
        if (s_read(self, name, &variable))
            s_decode(&variable, option);
    }
    return errno
               ? rmt_fail_errno(error, "read the firmware variables in %s", self->folder)
               : 0;
}

// An order that cannot be read would be written anew, without the entries in it.
static int
s_load_order(nvram_t *self, rmt_error_t *error)
{
    variable_t variable;
    if (!s_read(self, "BootOrder", &variable))
        return errno == ENOENT
                   ? 0
                   : rmt_fail_errno(error, "read firmware variable BootOrder");
    for (size_t i = 4; i + 2 <= variable.size && self->order_count < ENTRIES_MAX; i += 2)
        self->order[self->order_count++] = (uint16_t) rmt_get_le(variable.data + i, 2);
    return 0;
}

static int
s_load(nvram_t *self, rmt_error_t *error)
{
    DIR *dir = opendir(self->folder);
    if (!dir)
        return rmt_fail_errno(error, "read the firmware variables in %s", self->folder);
    const int rc = s_load_options(self, dir, error);
    closedir(dir);
    if (rc == -1)
        return -1;
    qsort(self->options, self->count, sizeof *self->options, s_compare);
    return s_load_order(self, error);
}

// ---- Which number, which place

static const option_t *
s_find(const nvram_t *self, uint16_t number)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->options[i].number == number)
            return &self->options[i];
    return NULL;
}

static bool
s_is_ours(const option_t *option)
{
    const size_t size = strlen(option->label), mark = sizeof MARK - 1;
    return size >= mark && strcmp(option->label + size - mark, MARK) == 0;
}

// The entries that are to stand, first ones first.
typedef struct {
    uint16_t numbers[RMT_NVRAM_SET_MAX];
    size_t count;
} set_t;

static bool
s_is_in(const set_t *set, uint16_t number)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->numbers[i] == number)
            return true;
    return false;
}

static bool
s_is_same(const option_t *one, const option_t *two)
{
    return strcasecmp(one->path, two->path) == 0 && strcmp(one->label, two->label) == 0 &&
           memcmp(one->disk, two->disk, DISK_SIZE) == 0;
}

// The number of ramet's entry with this very start, else the first that is free.
static int
s_choose(const nvram_t *self, const option_t *wanted, const set_t *set,
         uint16_t *number_out, rmt_error_t *error)
{
    for (size_t i = 0; i < self->count; i++) {
        const option_t *option = &self->options[i];
        if (s_is_ours(option) && s_is_same(option, wanted) &&
            !s_is_in(set, option->number)) {
            *number_out = option->number;
            return 0;
        }
    }
    for (uint16_t number = 0; number < ENTRIES_MAX; number++) {
        bool is_ordered = s_is_in(set, number);
        for (size_t i = 0; i < self->order_count; i++)
            is_ordered = is_ordered || self->order[i] == number;
        if (!is_ordered && !s_find(self, number)) {
            *number_out = number;
            return 0;
        }
    }
    return rmt_fail(error, RMT_E_TOO_BIG,
                    "the firmware has no free boot entry; remove one with efibootmgr");
}

static bool
s_is_stale(const nvram_t *self, uint16_t number, const set_t *set)
{
    const option_t *option = s_find(self, number);
    return !s_is_in(set, number) && option && s_is_ours(option);
}

static void
s_put_set(variable_t *variable, const set_t *set)
{
    for (size_t i = 0; i < set->count; i++)
        s_put(variable, set->numbers[i], 2);
}

static int
s_write_order(const nvram_t *self, const set_t *set, rmt_error_t *error)
{
    variable_t variable = {.size = 0};
    bool is_placed = false;
    s_put(&variable, ATTRIBUTES, 4);
    for (size_t i = 0; i < self->order_count; i++) {
        const option_t *option = s_find(self, self->order[i]);
        if (s_is_in(set, self->order[i]) || s_is_stale(self, self->order[i], set))
            continue;
        if (!is_placed && !(option && option->is_network)) {
            s_put_set(&variable, set);
            is_placed = true;
        }
        s_put(&variable, self->order[i], 2);
    }
    if (!is_placed)
        s_put_set(&variable, set);
    return s_write(self, "BootOrder", &variable, error);
}

static int
s_write_next(const nvram_t *self, uint16_t number, rmt_error_t *error)
{
    variable_t variable = {.size = 0};
    s_put(&variable, ATTRIBUTES, 4);
    s_put(&variable, number, 2);
    return s_write(self, "BootNext", &variable, error);
}

static int
s_write_entry(const nvram_t *self, const rmt_nvram_entry_t *entry, set_t *set,
              rmt_error_t *error)
{
    variable_t variable;
    uint16_t number = 0;
    rmt_auto_ptr memory = calloc(1, sizeof(option_t));
    option_t *wanted = memory;
    assert(wanted);
    if (s_encode(entry, &variable, error) == -1)
        return -1;
    s_decode(&variable, wanted);
    if (s_choose(self, wanted, set, &number, error) == -1)
        return -1;
    rmt_auto_str name = rmt_text("Boot%04X", number);
    if (s_write(self, name, &variable, error) == -1)
        return -1;
    set->numbers[set->count++] = number;
    return 0;
}

int
rmt_nvram_set(const char *folder, const rmt_nvram_entry_t *entries, size_t count,
              uint16_t *number_out, rmt_error_t *error)
{
    assert(folder);
    assert(count > 0 && count <= RMT_NVRAM_SET_MAX);
    set_t set = {.count = 0};
    rmt_auto_ptr options = calloc(ENTRIES_MAX, sizeof(option_t));
    assert(options);
    nvram_t self = {.folder = folder, .options = options};
    if (s_load(&self, error) == -1)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (s_write_entry(&self, &entries[i], &set, error) == -1)
            return -1;
    if (s_write_order(&self, &set, error) == -1)
        return -1;
    for (size_t i = 0; i < self.count; i++)
        if (s_is_stale(&self, self.options[i].number, &set))
            s_remove(&self, self.options[i].number);
    *number_out = set.numbers[0];
    for (size_t i = 0; i < count; i++)
        if (entries[i].is_next && s_write_next(&self, set.numbers[i], error) == -1)
            return 1;
    return 0;
}

// ---- What there is

// The GUID of a partition as people write it; false: the entry is for no part of a GPT.
static bool
s_take_guid(const option_t *option, char text[37])
{
    const uint8_t *id = option->disk + 24;
    if (option->disk[0] != TYPE_MEDIA || option->disk[40] != 2 || option->disk[41] != 2)
        return false;
    snprintf(text, 37, "%08X-%04X-%04X-%02X%02X-%02X%02X%02X%02X%02X%02X",
             (unsigned) rmt_get_le(id, 4), (unsigned) rmt_get_le(id + 4, 2),
             (unsigned) rmt_get_le(id + 6, 2), id[8], id[9], id[10], id[11], id[12],
             id[13], id[14], id[15]);
    return true;
}

static void
s_add_entry(const option_t *option, rmt_records_t *entries)
{
    char guid[37];
    const bool is_ours = s_is_ours(option);
    const int size = (int) strlen(option->label) - (is_ours ? (int) sizeof MARK - 1 : 0);
    const char *path = option->path + strspn(option->path, "/");
    if (!option->is_active || !*path || strchr(path, '?') || size > 64 ||
        option->options_size > sizeof option->options || !s_take_guid(option, guid))
        return;
    rmt_record_t *entry = rmt_records_add(entries);
    rmt_record_set(entry, "class", "entry");
    rmt_record_setf(entry, "label", "%.*s", size, option->label);
    rmt_record_set(entry, "path", path);
    rmt_record_set(entry, "guid", guid);
    if (option->options_size)
        rmt_record_put(entry, "options", option->options, option->options_size);
}

int
rmt_nvram_read(const char *folder, rmt_records_t *entries, rmt_error_t *error)
{
    assert(folder);
    rmt_auto_ptr options = calloc(ENTRIES_MAX, sizeof(option_t));
    assert(options);
    nvram_t self = {.folder = folder, .options = options};
    if (s_load(&self, error) == -1)
        return -1;
    for (size_t i = 0; i < self.order_count; i++) {
        const option_t *option = s_find(&self, self.order[i]);
        if (option)
            s_add_entry(option, entries);
    }
    return 0;
}
