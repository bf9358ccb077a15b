#include "disk/rmt_mount_table.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <libmount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIVE "/proc/self/mountinfo"
#define LIVE_SIZE_MAX ((size_t) 4 * 1024 * 1024)
#define WORDS 4
// libmount tells the form of a text from its first line.
#define FSTAB_HEAD "none / auto\n"

struct rmt_mount_table {
    rmt_mount_line_t *lines;
    size_t count;
};

static void
s_unref_table(struct libmnt_table **table)
{
    mnt_unref_table(*table);
}

static void
s_free_iter(struct libmnt_iter **iter)
{
    mnt_free_iter(*iter);
}

static rmt_mount_table_t *
s_new(void)
{
    rmt_mount_table_t *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    return self;
}

void
rmt_mount_table_destroy(rmt_mount_table_t **self_p)
{
    rmt_mount_table_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++) {
        rmt_mount_line_t *line = &self->lines[i];
        char *const texts[] = {line->spec, line->tag,     line->value, line->folder,
                               line->type, line->options, line->root};
        for (size_t j = 0; j < sizeof texts / sizeof *texts; j++)
            free(texts[j]);
    }
    free(self->lines);
    free(self);
    *self_p = NULL;
}

static char *
s_text(const char *text)
{
    return rmt_text("%s", text ? text : "");
}

static void
s_add(rmt_mount_table_t *self, struct libmnt_fs *fs, size_t number)
{
    const char *tag = NULL, *value = NULL;
    if (mnt_fs_get_tag(fs, &tag, &value) != 0)
        value = mnt_fs_get_srcpath(fs);
    rmt_grow_one(&self->lines, self->count);
    self->lines[self->count++] = (rmt_mount_line_t){
        .number = number,
        .spec = s_text(mnt_fs_get_source(fs)),
        .tag = s_text(tag),
        .value = s_text(value),
        .folder = s_text(mnt_fs_get_target(fs)),
        .type = s_text(mnt_fs_get_fstype(fs)),
        .options = s_text(number ? mnt_fs_get_options(fs) : mnt_fs_get_fs_options(fs)),
        .root = s_text(mnt_fs_get_root(fs)),
        .device = mnt_fs_get_devno(fs),
    };
}

// Lines that libmount cannot read are skipped.
static int
s_skip(struct libmnt_table *table, const char *name, int line)
{
    (void) table;
    (void) name;
    (void) line;
    return 1;
}

// The lines of a text from the one with this index.
static void
s_parse(rmt_mount_table_t *self, const char *text, size_t first, size_t number)
{
    __attribute__((cleanup(s_unref_table))) struct libmnt_table *table = mnt_new_table();
    __attribute__((cleanup(s_free_iter))) struct libmnt_iter *iter =
        mnt_new_iter(MNT_ITER_FORWARD);
    struct libmnt_fs *fs;
    FILE *in = fmemopen((void *) (uintptr_t) text, strlen(text), "r");
    if (!table || !iter || !in)
        abort();
    mnt_table_set_parser_errcb(table, s_skip);
    (void) mnt_table_parse_stream(table, in, "table");
    fclose(in);
    for (size_t i = 0; mnt_table_next_fs(table, iter, &fs) == 0; i++)
        if (i >= first)
            s_add(self, fs, number);
}

static int
s_refuse(size_t number, const char *line, const char *why, rmt_error_t *error)
{
    return rmt_fail(error, RMT_E_CONFIG,
                    "line %zu of /etc/fstab, '%.100s', %s, and programs read such a line "
                    "in different ways; correct it, or put # before it",
                    number, line, why);
}

// How many words a line has, at most as many as count, and where the last one ends.
static size_t
s_count_words(const char *line, size_t *end_out)
{
    size_t count = 0;
    const char *at = line;
    for (; count < WORDS; count++) {
        at += strspn(at, " \t\r");
        if (!*at)
            break;
        at += strcspn(at, " \t\r");
        *end_out = (size_t) (at - line);
    }
    return count;
}

static bool
s_has_open_quote(const char *line)
{
    const char *value = line + strspn(line, " \t\r") + strcspn(line, "=");
    const size_t size = strcspn(line, " \t\r");
    value = memchr(line, '=', size);
    if (!value || (value[1] != '"' && value[1] != '\''))
        return false;
    const size_t rest = size - (size_t) (value + 2 - line);
    return !memchr(value + 2, value[1], rest);
}

static int
s_add_line(rmt_mount_table_t *self, const char *line, size_t number, rmt_error_t *error)
{
    const char *begin = line + strspn(line, " \t\r");
    size_t end = 0;
    const size_t words = s_count_words(begin, &end);
    if (begin[0] == '#' || words < 2)
        return 0;
    if (words == 2)
        return s_refuse(number, begin, "has no type", error);
    if (s_has_open_quote(begin))
        return s_refuse(number, begin,
                        "has a blank between quotes, which is written \\040", error);
    rmt_auto_str text = rmt_text(FSTAB_HEAD "%.*s\n", (int) end, begin);
    const size_t before = self->count;
    s_parse(self, text, 1, number);
    return self->count == before + 1
               ? 0
               : s_refuse(number, begin, "cannot be read by libmount", error);
}

rmt_mount_table_t *
rmt_mount_table_fstab(const char *text, rmt_error_t *error)
{
    assert(text);
    rmt_auto(rmt_mount_table) self = s_new();
    rmt_auto_str copy = rmt_text("%s", text);
    char *rest = copy, *line;
    for (size_t number = 1; (line = strsep(&rest, "\n")); number++)
        if (s_add_line(self, line, number, error) == -1)
            return NULL;
    return rmt_take(&self);
}

rmt_mount_table_t *
rmt_mount_table_live(const char *text, rmt_error_t *error)
{
    rmt_auto_ptr table = NULL;
    size_t size = 0;
    if (!text && rmt_io_load(LIVE, LIVE_SIZE_MAX, &table, &size, error) == -1)
        return NULL;
    rmt_mount_table_t *self = s_new();
    text = text ? text : table;
    if (*text)
        s_parse(self, text, 0, 0);
    return self;
}

size_t
rmt_mount_table_count(const rmt_mount_table_t *self)
{
    return self->count;
}

const rmt_mount_line_t *
rmt_mount_table_at(const rmt_mount_table_t *self, size_t index)
{
    assert(index < self->count);
    return &self->lines[index];
}

bool
rmt_mount_option(const rmt_mount_line_t *line, const char *name, const char **value_out,
                 size_t *size_out)
{
    char *value = NULL;
    size_t size = 0;
    if (mnt_optstr_get_option(line->options, name, &value, &size) != 0)
        return false;
    if (value_out) {
        *value_out = value;
        *size_out = size;
    }
    return true;
}

char *
rmt_mount_word(const char *text)
{
    char *word = mnt_mangle(text);
    if (!word)
        abort();
    return word;
}
