#include "agent/source/parts.h"
#include "agent/hardware.h"
#include "agent/source/source_reading.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_fs.h"
#include "facts/rmt_part.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define DOS_PRIMARIES 4

rmt_parts_words_t
rmt_parts_of(const rmt_record_t *body)
{
    return (rmt_parts_words_t){.without = rmt_record_text(body, "without", ""),
                               .raw = rmt_record_text(body, "raw", "")};
}

static int
s_identify(const rmt_layout_t *layout, int fd, size_t index, rmt_record_t *name,
           rmt_error_t *error)
{
    const rmt_layout_partition_t *partition = &layout->partitions[index];
    const uint64_t sector = layout->disks[0].sector;
    return rmt_fs_identify(fd, partition->start * sector, partition->size * sector, name,
                           error);
}

// What each partition is called, in the order of the layout. Caller owns the result.
static rmt_records_t *
s_names(const rmt_layout_t *layout, int fd)
{
    rmt_records_t *names = rmt_records_new();
    for (size_t i = 0; i < layout->partition_count; i++) {
        rmt_error_t ignored = {0}; // Told of what is to be carried (s_check_content)
        const rmt_layout_partition_t *partition = &layout->partitions[i];
        rmt_record_t *name = rmt_records_add(names);
        rmt_record_set_u64(name, "number", partition->number);
        rmt_record_set(name, "guid", partition->guid);
        rmt_record_set(name, "name", partition->name ? partition->name : "");
        if (!rmt_layout_is_extended(partition))
            (void) s_identify(layout, fd, i, name, &ignored);
    }
    return names;
}

// Logical partitions have no gaps in their numbers, so the others would get new ones.
static int
s_check_numbers(const rmt_layout_t *layout, const bool *is_out, rmt_error_t *error)
{
    if (layout->disks[0].table != RMT_TABLE_DOS)
        return 0;
    for (size_t i = 0; i < layout->partition_count; i++)
        for (size_t k = 0; is_out[i] && k < layout->partition_count; k++) {
            const uint64_t number = layout->partitions[i].number;
            const uint64_t other = layout->partitions[k].number;
            const bool is_inside =
                number > DOS_PRIMARIES || rmt_layout_is_extended(&layout->partitions[i]);
            if (!is_out[k] && is_inside && other > DOS_PRIMARIES && other > number)
                return rmt_fail(error, RMT_E_REFUSED,
                                "partition %" PRIu64 " cannot be left out alone, because "
                                "logical partition %" PRIu64 " would lose its number or "
                                "its place; leave that out too: --without %" PRIu64
                                " --without %" PRIu64,
                                number, other, number, other);
        }
    return 0;
}

typedef struct {
    rmt_layout_t *layout;
    rmt_records_t *names;
    bool is_loose, has_roles;
    bool without[RMT_LAYOUT_PARTITIONS_MAX], raw[RMT_LAYOUT_PARTITIONS_MAX];
} parts_t;

// What stands behind "ROLE:", NULL where it does not begin so.
static const char *
s_behind_role(const char *word, const char *role)
{
    const size_t size = strlen(role);
    return strncmp(word, role, size) == 0 && word[size] == ':' ? word + size + 1 : NULL;
}

// Which partitions the words of an option mean. 0, or -1.
static int
s_find(const parts_t *self, const char *option, const char *words, bool *found,
       rmt_error_t *error)
{
    rmt_auto_str copy = rmt_text("%s", words ? words : "");
    char *rest = copy, *word;
    while ((word = strsep(&rest, "\n"))) {
        size_t index = 0;
        rmt_error_t why = {0};
        const char *own =
            self->has_roles ? s_behind_role(word, self->layout->disks[0].role) : word;
        if (!*word || !own)
            continue;
        if (rmt_part_find(self->names, own, &index, &why) == 0) {
            found[index] = true;
            continue;
        }
        if (self->is_loose && why.code == RMT_E_NOT_FOUND)
            continue;
        *error = why;
        return rmt_wrap(error, "%s", option);
    }
    return 0;
}

static int
s_check_raw(const parts_t *self, rmt_error_t *error)
{
    for (size_t i = 0; i < self->layout->partition_count; i++) {
        const rmt_layout_partition_t *partition = &self->layout->partitions[i];
        if (self->raw[i] && self->without[i])
            return rmt_fail(error, RMT_E_USAGE,
                            "partition %" PRIu64
                            " is both in --without and in --raw; give one of them",
                            partition->number);
        if (self->raw[i] && rmt_layout_is_extended(partition))
            return rmt_fail(error, RMT_E_USAGE,
                            "--raw %" PRIu64 ": it is an extended partition; give the "
                            "logical partitions in it",
                            partition->number);
    }
    return 0;
}

// What is not known of a partition could be what must not be carried as it is.
static int
s_check_content(const parts_t *self, int fd, rmt_error_t *error)
{
    for (size_t i = 0; i < self->layout->partition_count; i++) {
        rmt_auto(rmt_record) found = rmt_record_new();
        if (self->raw[i] && s_identify(self->layout, fd, i, found, error) == -1)
            return rmt_wrap(error, "--raw %" PRIu64, self->layout->partitions[i].number);
    }
    return 0;
}

static void
s_tell(const rmt_record_t *name, rmt_records_t *told)
{
    const char *guid = rmt_record_text(name, "guid", "");
    rmt_auto_str words = rmt_part_words(name);
    rmt_auto_str what = rmt_text("partition %s", words);
    rmt_record_t *record = rmt_records_add(told);
    rmt_record_set(record, "class", "without");
    rmt_record_set(record, "path", *guid ? guid : rmt_record_text(name, "number", ""));
    rmt_record_set(record, "what", what);
}

static int
s_add_raw(const parts_t *self, size_t index, rmt_error_t *error)
{
    const rmt_record_t *name = rmt_records_at(self->names, index);
    const rmt_layout_partition_t *partition = &self->layout->partitions[index];
    rmt_auto(rmt_record) format = rmt_record_new();
    rmt_record_set(format, "class", "volume");
    rmt_record_set(format, "fs", "raw");
    const char *content = rmt_record_text(name, "fs", "");
    if (*content)
        rmt_record_set(format, "content", content);
    for (size_t i = 0; i < 2; i++) {
        const char *field = i ? "label" : "uuid";
        const char *text = rmt_record_text(name, field, "");
        if (*text)
            rmt_record_set(format, field, text);
    }
    rmt_record_set_u64(format, "device-bytes",
                       partition->size * self->layout->disks[0].sector);
    rmt_layout_volume_t *volume = rmt_layout_add_volume(self->layout, 0);
    volume->partition = partition->number;
    return rmt_layout_set_format(volume, &format, error);
}

static int
s_apply(parts_t *self, rmt_records_t *told, rmt_error_t *error)
{
    for (size_t i = 0; i < self->layout->partition_count; i++)
        if (self->raw[i] && s_add_raw(self, i, error) == -1)
            return -1;
    for (size_t i = self->layout->partition_count; i > 0; i--)
        if (self->without[i - 1])
            rmt_layout_remove_partition(self->layout, i - 1);
    for (size_t i = 0; i < rmt_records_count(self->names); i++)
        if (self->without[i])
            s_tell(rmt_records_at(self->names, i), told);
    return 0;
}

static bool
s_is_given(const char *words)
{
    return words && *words;
}

int
rmt_parts_apply(rmt_layout_t *layout, const char *path, const rmt_parts_words_t *words,
                rmt_records_t *told, rmt_error_t *error)
{
    parts_t self = {
        .layout = layout, .is_loose = words->is_loose, .has_roles = words->has_roles};
    if (!s_is_given(words->without) && !s_is_given(words->raw))
        return 0;
    if (layout->partition_count > RMT_LAYOUT_PARTITIONS_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG, "%s has more than %d partitions", path,
                        RMT_LAYOUT_PARTITIONS_MAX);
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open %s", path);
    rmt_auto(rmt_records) names = s_names(layout, fd);
    self.names = names;
    if (s_find(&self, "--without", words->without, self.without, error) == -1 ||
        s_find(&self, "--raw", words->raw, self.raw, error) == -1 ||
        s_check_numbers(layout, self.without, error) == -1 ||
        s_check_raw(&self, error) == -1 || s_check_content(&self, fd, error) == -1)
        return -1;
    return s_apply(&self, told, error);
}

static int
s_check_roles(const char *option, const char *words, size_t disks, rmt_error_t *error)
{
    rmt_auto_str copy = rmt_text("%s", words ? words : "");
    char *rest = copy, *word;
    while ((word = strsep(&rest, "\n"))) {
        char role[RMT_RECORD_NAME_MAX + 1];
        bool is_known = !*word;
        for (size_t i = 0; i < disks && !is_known; i++) {
            rmt_hardware_disk_role(i, role);
            is_known = s_behind_role(word, role) != NULL;
        }
        if (!is_known)
            return rmt_fail(error, RMT_E_USAGE,
                            "%s %.100s: this source has %zu disks; write the role of the "
                            "disk before it, such as system:2 or disk2:2",
                            option, word, disks);
    }
    return 0;
}

int
rmt_parts_check_roles(const rmt_parts_words_t *words, size_t disks, rmt_error_t *error)
{
    if (words->is_loose)
        return 0;
    return s_check_roles("--without", words->without, disks, error) == -1
               ? -1
               : s_check_roles("--raw", words->raw, disks, error);
}

int
rmt_parts_refuse(const rmt_parts_words_t *words, rmt_error_t *error)
{
    if (!s_is_given(words->without) && !s_is_given(words->raw))
        return 0;
    return rmt_fail(
        error, RMT_E_UNSUPPORTED,
        "--without and --raw name partitions, and this source is a tree: its agent "
        "has the setting root, and reads no disk; give it the setting disk");
}

int
rmt_parts_advise(const char *source, const char *role, uint64_t number,
                 rmt_error_t *error)
{
    if (role)
        rmt_wrap(error, "partition %" PRIu64 " of disk '%s'", number, role);
    else
        rmt_wrap(error, "partition %" PRIu64, number);
    const rmt_error_t why = *error;
    if (why.code != RMT_E_UNSUPPORTED)
        return -1;
    if (role)
        return rmt_fail(error, why.code,
                        "%.300s; to leave it out: ramet image create %.63s --without "
                        "%s:%" PRIu64 "; to carry its blocks as they are: --raw "
                        "%s:%" PRIu64,
                        why.text, source, role, number, role, number);
    return rmt_fail(error, why.code,
                    "%.300s; to leave it out: ramet image create %.63s --without "
                    "%" PRIu64 "; to carry its blocks as they are: --raw %" PRIu64,
                    why.text, source, number, number);
}

const rmt_records_t *
rmt_source_disk_without(const rmt_source_disk_t *self)
{
    return self->without;
}

const rmt_layout_t *
rmt_source_disk_table(const rmt_source_disk_t *self)
{
    return self->table ? self->table : self->layout;
}
