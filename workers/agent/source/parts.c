#include "agent/source/parts.h"
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
    return (rmt_parts_words_t){.without = rmt_record_text(body, "without", "")};
}

// What each partition is called, in the order of the layout. Caller owns the result.
static rmt_records_t *
s_names(const rmt_layout_t *layout, int fd)
{
    rmt_records_t *names = rmt_records_new();
    const uint64_t sector = layout->disks[0].sector;
    for (size_t i = 0; i < layout->partition_count; i++) {
        const rmt_layout_partition_t *partition = &layout->partitions[i];
        rmt_record_t *name = rmt_records_add(names);
        rmt_record_set_u64(name, "number", partition->number);
        rmt_record_set(name, "guid", partition->guid);
        rmt_record_set(name, "name", partition->name ? partition->name : "");
        if (!rmt_layout_is_extended(partition))
            rmt_fs_identify(fd, partition->start * sector, partition->size * sector,
                            name);
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

// Which partitions the words mean. 0, or -1.
static int
s_find(const rmt_records_t *names, const char *words, bool is_loose, bool *is_out,
       rmt_error_t *error)
{
    rmt_auto_str copy = rmt_text("%s", words);
    char *rest = copy, *word;
    while ((word = strsep(&rest, "\n"))) {
        size_t index = 0;
        rmt_error_t why = {0};
        if (!*word)
            continue;
        if (rmt_part_find(names, word, &index, &why) == 0) {
            is_out[index] = true;
            continue;
        }
        if (is_loose && why.code == RMT_E_NOT_FOUND)
            continue;
        *error = why;
        return rmt_wrap(error, "--without");
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

int
rmt_parts_apply(rmt_layout_t *layout, const char *path, const rmt_parts_words_t *words,
                rmt_records_t *told, rmt_error_t *error)
{
    if (!*words->without)
        return 0;
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open %s", path);
    rmt_auto(rmt_records) names = s_names(layout, fd);
    bool is_out[RMT_LAYOUT_PARTITIONS_MAX + 1] = {false};
    if (layout->partition_count > RMT_LAYOUT_PARTITIONS_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG, "%s has more than %d partitions", path,
                        RMT_LAYOUT_PARTITIONS_MAX);
    if (s_find(names, words->without, words->is_loose, is_out, error) == -1 ||
        s_check_numbers(layout, is_out, error) == -1)
        return -1;
    for (size_t i = layout->partition_count; i > 0; i--)
        if (is_out[i - 1])
            rmt_layout_remove_partition(layout, i - 1);
    for (size_t i = 0; i < rmt_records_count(names); i++)
        if (is_out[i])
            s_tell(rmt_records_at(names, i), told);
    return 0;
}

int
rmt_parts_refuse(const rmt_parts_words_t *words, rmt_error_t *error)
{
    if (!*words->without)
        return 0;
    return rmt_fail(error, RMT_E_UNSUPPORTED,
                    "--without names a partition, and this source is a tree: its agent "
                    "has the setting root, and reads no disk; give it the setting disk");
}

int
rmt_parts_advise(const char *source, uint64_t number, rmt_error_t *error)
{
    rmt_wrap(error, "partition %" PRIu64, number);
    const rmt_error_t why = *error;
    if (why.code != RMT_E_UNSUPPORTED)
        return -1;
    return rmt_fail(error, why.code,
                    "%.330s; to leave it out: ramet image create %.63s --without "
                    "%" PRIu64,
                    why.text, source, number);
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
