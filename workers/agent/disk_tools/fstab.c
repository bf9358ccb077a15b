#include "agent/disk_tools/fstab.h"
#include "base/rmt_auto.h"
#include "base/rmt_escape.h"
#include "base/rmt_io.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool
s_is_tag(const char *spec, const char *tag, const char *value)
{
    const size_t size = strlen(tag);
    if (strncmp(spec, tag, size) != 0 || !*value)
        return false;
    spec += size;
    const size_t quote = *spec == '"';
    const size_t end = strcspn(spec + quote, "\"");
    return strlen(value) == end && strncasecmp(spec + quote, value, end) == 0;
}

// /dev/sda2, /dev/vda2 and /dev/nvme0n1p2 are all partition 2 of the disk.
static bool
s_is_device(const char *spec, uint64_t number)
{
    if (strncmp(spec, "/dev/", 5) != 0 || strncmp(spec, "/dev/mapper/", 12) == 0)
        return false;
    const char *end = spec + strlen(spec);
    while (end > spec && isdigit((unsigned char) end[-1]))
        end--;
    rmt_auto_str text = rmt_text("%" PRIu64, number);
    return strcmp(end, text) == 0;
}

// The name of a link that udev makes for a device, as a tag. Caller owns it (free).
static char *
s_tag(const char *spec)
{
    static const struct {
        const char *folder, *tag;
    } rows[] = {{"/dev/disk/by-uuid/", "UUID="},
                {"/dev/disk/by-label/", "LABEL="},
                {"/dev/disk/by-partuuid/", "PARTUUID="},
                {"/dev/disk/by-partlabel/", "PARTLABEL="}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strncmp(spec, rows[i].folder, strlen(rows[i].folder)) == 0)
            return rmt_escape_undo(
                rmt_text("%s%s", rows[i].tag, spec + strlen(rows[i].folder)),
                RMT_ESCAPE_HEX);
    return rmt_text("%s", spec);
}

static bool
s_is_volume(const char *text, const rmt_layout_volume_t *volume,
            const rmt_layout_partition_t *partition)
{
    rmt_auto_str spec = s_tag(text);
    if (s_is_tag(spec, "UUID=", rmt_record_text(volume->format, "uuid", "")) ||
        s_is_tag(spec, "LABEL=", rmt_record_text(volume->format, "label", "")))
        return true;
    return partition &&
           (s_is_tag(spec, "PARTUUID=", partition->guid) ||
            s_is_tag(spec, "PARTLABEL=", partition->name ? partition->name : "") ||
            s_is_device(spec, partition->number));
}

// Value of an option of a list with commas, as "name=VALUE", or NULL; not terminated.
static const char *
s_option(const char *options, const char *name, size_t *size_out)
{
    const size_t size = strlen(name);
    for (const char *at = options; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, size) == 0 && at[size] == '=') {
            *size_out = strcspn(at + size + 1, ",");
            return at + size + 1;
        }
    }
    return NULL;
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
s_is_subvolume(const char *options, const rmt_layout_volume_t *volume)
{
    size_t size = 0;
    if (!volume->subvolume)
        return true;
    const char *value = s_option(options, "subvol", &size);
    if (value) {
        const size_t slash = size && value[0] == '/';
        return s_is_value(value + slash, size - slash, volume->subvolume);
    }
    value = s_option(options, "subvolid", &size);
    if (value)
        return s_is_number(value, size, volume->subvolume_id) ||
               (s_is_value(value, size, "0") && !*volume->subvolume);
    return volume->is_default;
}

typedef struct {
    const char *spec, *folder, *options;
} line_t;

// Blanks and backslashes of a word stand there as octal digits. In place.
static char *
s_decode(char *word)
{
    return rmt_escape_undo(word, RMT_ESCAPE_OCTAL);
}

// A text as part of a word. Caller owns the result (free).
static char *
s_encode(const char *text)
{
    char *word = malloc(4 * strlen(text) + 1);
    if (!word)
        abort();
    char *to = word;
    for (; *text; text++) {
        if (strchr(" \t\n\\", *text))
            to += sprintf(to, "\\%03o", (unsigned) *text);
        else
            *to++ = *text;
    }
    *to = '\0';
    return word;
}

// The next line that mounts something on a folder. Cuts the text up.
static bool
s_next(char **rest, line_t *line_out)
{
    for (char *line; (line = strsep(rest, "\n"));) {
        char *save = NULL;
        char *spec = strtok_r(line, " \t", &save);
        char *folder = spec ? strtok_r(NULL, " \t", &save) : NULL;
        char *type = folder ? strtok_r(NULL, " \t", &save) : NULL;
        char *options = type ? strtok_r(NULL, " \t", &save) : NULL;
        if (!folder || spec[0] == '#' || folder[0] != '/')
            continue;
        *line_out =
            (line_t){s_decode(spec), s_decode(folder), options ? s_decode(options) : ""};
        return true;
    }
    return false;
}

char *
rmt_fstab_mount(const char *text, const rmt_layout_volume_t *volume,
                const rmt_layout_partition_t *partition)
{
    rmt_auto_str copy = rmt_text("%s", text);
    char *rest = copy;
    for (line_t line; s_next(&rest, &line);)
        if (s_is_volume(line.spec, volume, partition) &&
            s_is_subvolume(line.options, volume))
            return rmt_text("%s", line.folder);
    return NULL;
}

char *
rmt_fstab_root_uuid(const char *text)
{
    rmt_auto_str copy = rmt_text("%s", text);
    char *rest = copy;
    for (line_t line; s_next(&rest, &line);)
        if (strcmp(line.folder, "/") == 0 && strncmp(line.spec, "UUID=", 5) == 0 &&
            strlen(line.spec) == 5 + 36)
            return rmt_text("%s", line.spec + 5);
    return NULL;
}

// ---- Subvolumes by path in place of their numbers

// The path of the subvolume with this number on the device of a line, or NULL.
static const char *
s_find_path(const rmt_layout_t *layout, const char *spec, const char *id, size_t size)
{
    for (size_t i = 0; i < layout->volume_count; i++) {
        const rmt_layout_volume_t *volume = &layout->volumes[i];
        if (volume->subvolume &&
            s_is_volume(spec, volume, rmt_layout_partition_of(layout, volume)) &&
            s_is_number(id, size, volume->subvolume_id))
            return volume->subvolume;
    }
    return NULL;
}

// The line with subvol= where it had subvolid=, or NULL when it stays.
static char *
s_change_line(const char *line, const rmt_layout_t *layout)
{
    size_t size = 0, named = 0;
    const char *spec = line + strspn(line, " \t");
    const char *option = strstr(line, "subvolid=");
    if (spec[0] == '#' || !option || option == line || !strchr(" \t,", option[-1]))
        return NULL;
    rmt_auto_str device = rmt_text("%.*s", (int) strcspn(spec, " \t"), spec);
    rmt_auto_str options = rmt_text("%.*s", (int) strcspn(option, " \t"), option);
    const char *value = s_option(options, "subvolid", &size);
    const char *found = s_find_path(layout, s_decode(device), value, size);
    if (!found)
        return NULL;
    rmt_auto_str path = s_encode(found);
    const char *rest = option + strlen("subvolid=") + size;
    const char *begin = option;
    while (begin > line && !strchr(" \t", begin[-1]))
        begin--;
    rmt_auto_str all = rmt_text("%.*s", (int) strcspn(begin, " \t"), begin);
    // The path may stand there already; then the number is only taken out.
    if (!s_option(all, "subvol", &named))
        return rmt_text("%.*ssubvol=/%s%s", (int) (option - line), line, path, rest);
    const size_t comma = option > begin;
    return rmt_text("%.*s%s", (int) (option - line) - (int) comma, line,
                    rest + (!comma && *rest == ','));
}

char *
rmt_fstab_by_path(const char *text, const rmt_layout_t *layout)
{
    rmt_auto_str copy = rmt_text("%s", text);
    rmt_auto_str all = rmt_text("%s", "");
    char *rest = copy, *line;
    bool is_changed = false;
    while ((line = strsep(&rest, "\n"))) {
        rmt_auto_str changed = s_change_line(line, layout);
        is_changed = is_changed || changed;
        char *longer =
            rmt_text("%s%s%s", all, changed ? changed : line, rest ? "\n" : "");
        free(all);
        all = longer;
    }
    return is_changed ? rmt_take(&all) : NULL;
}

// ---- What is on no disk of the image

static bool
s_is_word(const char *options, const char *word)
{
    const size_t size = strlen(word);
    for (const char *at = options; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, size) == 0 && strchr(",", at[size]))
            return true;
    }
    return false;
}

// Only names of devices that stay in a computer.
static bool
s_is_local(const char *spec)
{
    static const char *const names[] = {
        "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "/dev/"};
    static const char *const others[] = {"/dev/sr", "/dev/cdrom", "/dev/fd", "/dev/loop",
                                         "/dev/shm"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strncmp(spec, others[i], strlen(others[i])) == 0)
            return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(spec, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static bool
s_is_there(const char *spec, const rmt_layout_t *layout)
{
    for (size_t i = 0; i < layout->volume_count; i++) {
        const rmt_layout_volume_t *volume = &layout->volumes[i];
        if (s_is_volume(spec, volume, rmt_layout_partition_of(layout, volume)))
            return true;
    }
    return false;
}

int
rmt_fstab_check(const char *text, const rmt_layout_t *layout, rmt_error_t *error)
{
    rmt_auto_str copy = rmt_text("%s", text);
    char *rest = copy;
    for (line_t line; s_next(&rest, &line);) {
        if (!s_is_local(line.spec) || s_is_word(line.options, "noauto") ||
            s_is_word(line.options, "nofail") || s_is_there(line.spec, layout))
            continue;
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "fstab mounts %.200s from %.200s, which is not a volume of the "
                        "imaged disk; a system on several disks is not supported (write "
                        "nofail or noauto in its line to leave it out)",
                        line.folder, line.spec);
    }
    return 0;
}
