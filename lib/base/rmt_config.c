#include "base/rmt_config.h"
#include "base/rmt_auto.h"
#include "base/rmt_guarded.h"

#include <assert.h>
#include <czmq.h>
#include <errno.h>
#include <string.h>

#define FILE_SIZE_MAX ((size_t) 1024 * 1024)
#define PATH_SIZE 128
#define WORD_GAPS " \t,"

typedef struct {
    char *text;
    char **words; // LIST only: NULL-terminated, pointing into `parted`
    char *parted;
    int64_t number; // NUMBER, and BOOL as 0 or 1
    bool given;
} value_t;

struct rmt_config {
    const rmt_config_row_t *rows;
    size_t count;
    value_t *values; // One for each row
};

static size_t
s_count_rows(const rmt_config_row_t *rows)
{
    size_t count = 0;
    while (rows[count].path)
        count++;
    return count;
}

static value_t *
s_find(const rmt_config_t *self, const char *path)
{
    for (size_t i = 0; i < self->count; i++)
        if (streq(self->rows[i].path, path))
            return &self->values[i];
    return NULL;
}

static void
s_clear(value_t *value)
{
    free(value->text);
    free(value->words);
    free(value->parted);
    *value = (value_t){0};
}

// ---- Checking one value

static int
s_check_range(const rmt_config_row_t *row, int64_t number, const char *what,
              rmt_error_t *error)
{
    if (row->min == 0 && row->max == 0)
        return 0;
    if (number < row->min || number > row->max)
        return rmt_fail(error, RMT_E_CONFIG, "%s is %lld%s; it must be %lld to %lld",
                        row->path, (long long) number, what, (long long) row->min,
                        (long long) row->max);
    return 0;
}

static int
s_read_number(const rmt_config_row_t *row, value_t *value, rmt_error_t *error)
{
    char *end = NULL;
    errno = 0;
    const long long number = strtoll(value->text, &end, 10);
    const char first = value->text[0];
    if (errno || *end || !(first == '-' || (first >= '0' && first <= '9')))
        return rmt_fail(error, RMT_E_CONFIG, "%s: \"%.64s\" is not a whole number",
                        row->path, value->text);
    value->number = number;
    return s_check_range(row, number, "", error);
}

static int
s_read_bool(const rmt_config_row_t *row, value_t *value, rmt_error_t *error)
{
    value->number = streq(value->text, "yes");
    if (!value->number && strneq(value->text, "no"))
        return rmt_fail(error, RMT_E_CONFIG,
                        "%s: \"%.64s\" is not a truth value; write yes or no", row->path,
                        value->text);
    return 0;
}

static int
s_read_list(const rmt_config_row_t *row, value_t *value, rmt_error_t *error)
{
    // A word and its gap take two characters at least.
    const size_t room = strlen(value->text) / 2 + 2;
    value->words = zmalloc(room * sizeof *value->words);
    value->parted = strdup(value->text);
    assert(value->parted);
    size_t count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(value->parted, WORD_GAPS, &rest); word;
         word = strtok_r(NULL, WORD_GAPS, &rest))
        value->words[count++] = word;
    return s_check_range(row, (int64_t) count, " words", error);
}

static int
s_read_value(const rmt_config_row_t *row, value_t *value, rmt_error_t *error)
{
    switch (row->type) {
    case RMT_CONFIG_NUMBER:
        return s_read_number(row, value, error);
    case RMT_CONFIG_BOOL:
        return s_read_bool(row, value, error);
    case RMT_CONFIG_LIST:
        return s_read_list(row, value, error);
    case RMT_CONFIG_PATH:
        if (value->text[0] == '/' || (!value->text[0] && row->preset && !row->preset[0]))
            return 0;
        return rmt_fail(
            error, RMT_E_CONFIG,
            "%s: \"%.64s\" is not an absolute path; write one that begins with /",
            row->path, value->text);
    case RMT_CONFIG_TEXT:
    case RMT_CONFIG_SECRET:
        break;
    }
    return s_check_range(row, (int64_t) strlen(value->text), " characters", error);
}

int
rmt_config_set(rmt_config_t *self, const char *path, const char *text, rmt_error_t *error)
{
    assert(self && path && text && error);
    value_t *value = s_find(self, path);
    if (!value)
        return rmt_fail(error, RMT_E_CONFIG,
                        "the key %.64s is unknown; --print-config lists the keys", path);
    value_t fresh = {.text = strdup(text), .given = true};
    assert(fresh.text);
    if (s_read_value(&self->rows[value - self->values], &fresh, error) == -1) {
        s_clear(&fresh);
        return -1;
    }
    s_clear(value);
    *value = fresh;
    return 0;
}

// ---- Reading a file

static bool
s_is_section(const rmt_config_t *self, const char *name)
{
    const size_t size = strlen(name);
    for (size_t i = 0; i < self->count; i++)
        if (strncmp(self->rows[i].path, name, size) == 0 &&
            self->rows[i].path[size] == '/')
            return true;
    return false;
}

static int
s_check_single(zconfig_t *node, const char *path, rmt_error_t *error)
{
    for (zconfig_t *next = zconfig_next(node); next; next = zconfig_next(next))
        if (streq(zconfig_name(next), zconfig_name(node)))
            return rmt_fail(error, RMT_E_CONFIG,
                            "the key %s is given twice; remove one of the two lines",
                            path);
    return 0;
}

static int
s_take_key(rmt_config_t *self, zconfig_t *node, const char *path, rmt_error_t *error)
{
    if (s_check_single(node, path, error) == -1)
        return -1;
    if (!s_find(self, path))
        return rmt_fail(error, RMT_E_CONFIG,
                        "the key %s is unknown; --print-config lists the keys", path);
    if (zconfig_child(node))
        return rmt_fail(error, RMT_E_CONFIG,
                        "the key %s is a setting and has no lines below it", path);
    const char *text = zconfig_value(node);
    return rmt_config_set(self, path, text ? text : "", error);
}

static int
s_take_section(rmt_config_t *self, zconfig_t *section, rmt_error_t *error)
{
    const char *name = zconfig_name(section);
    if (s_check_single(section, name, error) == -1)
        return -1;
    const char *value = zconfig_value(section);
    if (value && *value)
        return rmt_fail(error, RMT_E_CONFIG, "the key %s is a section and takes no value",
                        name);
    for (zconfig_t *node = zconfig_child(section); node; node = zconfig_next(node)) {
        char path[PATH_SIZE];
        snprintf(path, sizeof path, "%s/%.64s", name, zconfig_name(node));
        if (s_take_key(self, node, path, error) == -1)
            return -1;
    }
    return 0;
}

// A secret that stands in the file itself makes the file a secret.
static int
s_check_secrets(const rmt_config_t *self, const char *file, rmt_error_t *error)
{
    for (size_t i = 0; i < self->count; i++) {
        const char *text = self->values[i].text;
        if (self->rows[i].type != RMT_CONFIG_SECRET || !text || !*text || *text == '/')
            continue;
        const rmt_guarded_t guarded = {file, "settings file", RMT_GUARDED_SECRET,
                                       FILE_SIZE_MAX};
        if (rmt_guarded_check(&guarded, error) == -1)
            return rmt_wrap(error, "the setting %s is a secret", self->rows[i].path);
    }
    return 0;
}

static int
s_take_file(rmt_config_t *self, const char *file, rmt_error_t *error)
{
    rmt_auto_str data = NULL;
    size_t size = 0;
    const rmt_guarded_t guarded = {file, "settings file", RMT_GUARDED_TRUST,
                                   FILE_SIZE_MAX};
    if (rmt_guarded_load(&guarded, &data, &size, error) == -1)
        return -1;
    if (memchr(data, '\0', size))
        return rmt_fail(error, RMT_E_CONFIG, "the file contains a NUL byte; write text");
    // The parser gives nothing for a file without keys, which is a good file.
    if (size == 0)
        return 0;
    rmt_auto(zconfig) root = zconfig_str_load(data);
    if (!root)
        return rmt_fail(
            error, RMT_E_CONFIG,
            "the file is not in ZPL form; write lines such as: key = \"value\"");
    for (zconfig_t *node = zconfig_child(root); node; node = zconfig_next(node)) {
        const char *name = zconfig_name(node);
        const int rc = strlen(name) < PATH_SIZE / 2 && s_is_section(self, name)
                           ? s_take_section(self, node, error)
                           : s_take_key(self, node, name, error);
        if (rc == -1)
            return -1;
    }
    return s_check_secrets(self, file, error);
}

static void
s_take_presets(rmt_config_t *self)
{
    for (size_t i = 0; i < self->count; i++) {
        const rmt_config_row_t *row = &self->rows[i];
        if (!row->preset)
            continue;
        // A preset that breaks its own row is a mistake in the program's table. An
        // empty one means "not set" and need not keep the limits.
        rmt_error_t error = {0};
        self->values[i].text = strdup(row->preset);
        assert(self->values[i].text);
        const int rc = s_read_value(row, &self->values[i], &error);
        assert(rc == 0 || !row->preset[0]);
    }
}

static int
s_check_complete(const rmt_config_t *self, rmt_error_t *error)
{
    for (size_t i = 0; i < self->count; i++)
        if (!self->values[i].text)
            return rmt_fail(error, RMT_E_CONFIG, "the key %s is missing; add it",
                            self->rows[i].path);
    return 0;
}

rmt_config_t *
rmt_config_new(const rmt_config_row_t *rows, const char *file, rmt_error_t *error)
{
    assert(rows && error);
    rmt_auto(rmt_config) self = zmalloc(sizeof *self);
    self->rows = rows;
    self->count = s_count_rows(rows);
    self->values = zmalloc((self->count + 1) * sizeof *self->values);
    s_take_presets(self);
    if ((file && s_take_file(self, file, error) == -1) ||
        s_check_complete(self, error) == -1) {
        error->code = RMT_E_CONFIG;
        rmt_wrap(error, "%s",
                 file ? file : "no configuration file is named; name one with -c FILE");
        return NULL;
    }
    return rmt_take(&self);
}

void
rmt_config_destroy(rmt_config_t **self_p)
{
    assert(self_p);
    rmt_config_t *self = rmt_take(self_p);
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        s_clear(&self->values[i]);
    free(self->values);
    free(self);
}

// ---- Values

static const value_t *
s_require(const rmt_config_t *self, const char *path, rmt_config_type_t type)
{
    assert(self && path);
    const value_t *value = s_find(self, path);
    assert(value);
    const rmt_config_type_t held = self->rows[value - self->values].type;
    assert(held == type || (type == RMT_CONFIG_TEXT &&
                            (held == RMT_CONFIG_PATH || held == RMT_CONFIG_SECRET)));
    return value;
}

const char *
rmt_config_text(const rmt_config_t *self, const char *path)
{
    return s_require(self, path, RMT_CONFIG_TEXT)->text;
}

int64_t
rmt_config_number(const rmt_config_t *self, const char *path)
{
    return s_require(self, path, RMT_CONFIG_NUMBER)->number;
}

bool
rmt_config_bool(const rmt_config_t *self, const char *path)
{
    return s_require(self, path, RMT_CONFIG_BOOL)->number != 0;
}

const char *const *
rmt_config_list(const rmt_config_t *self, const char *path)
{
    return (const char *const *) s_require(self, path, RMT_CONFIG_LIST)->words;
}

void
rmt_config_print(const rmt_config_row_t *rows, FILE *out)
{
    assert(rows && out);
    char section[PATH_SIZE] = "";
    for (const rmt_config_row_t *row = rows; row->path; row++) {
        const char *slash = strchr(row->path, '/');
        const char *key = slash ? slash + 1 : row->path;
        const char *indent = slash ? "    " : "";
        const int size = slash ? (int) (slash - row->path) : 0;
        const bool same = (int) strlen(section) == size &&
                          strncmp(section, row->path, (size_t) size) == 0;
        if (slash && !same) {
            snprintf(section, sizeof section, "%.*s", size, row->path);
            fprintf(out, "%s\n", section);
        }
        fprintf(out, "%s# %s\n", indent, row->help ? row->help : key);
        if (row->preset)
            fprintf(out, "%s%s = \"%s\"\n", indent, key, row->preset);
        else
            fprintf(out, "%s# %s = (must be given)\n", indent, key);
    }
}
