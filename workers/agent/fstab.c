#include "fstab.h"
#include "rmt_auto.h"
#include "rmt_io.h"

#include <ctype.h>
#include <stdbool.h>
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
s_is_device(const char *spec, const char *number)
{
    if (strncmp(spec, "/dev/", 5) != 0 || strncmp(spec, "/dev/mapper/", 12) == 0 ||
        !*number)
        return false;
    const char *end = spec + strlen(spec);
    while (end > spec && isdigit((unsigned char) end[-1]))
        end--;
    return strcmp(end, number) == 0;
}

static bool
s_is_volume(const char *spec, const rmt_record_t *volume, const rmt_record_t *partition)
{
    if (s_is_tag(spec, "UUID=", rmt_record_text(volume, "uuid", "")) ||
        s_is_tag(spec, "LABEL=", rmt_record_text(volume, "label", "")))
        return true;
    return partition &&
           (s_is_tag(spec, "PARTUUID=", rmt_record_text(partition, "guid", "")) ||
            s_is_tag(spec, "PARTLABEL=", rmt_record_text(partition, "name", "")) ||
            s_is_device(spec, rmt_record_text(partition, "number", "")));
}

char *
rmt_fstab_mount(const char *text, const rmt_record_t *volume,
                const rmt_record_t *partition)
{
    rmt_auto_str copy = rmt_text("%s", text);
    char *rest = copy, *line;
    while ((line = strsep(&rest, "\n"))) {
        char *save = NULL;
        const char *spec = strtok_r(line, " \t", &save);
        const char *folder = spec ? strtok_r(NULL, " \t", &save) : NULL;
        if (folder && spec[0] != '#' && folder[0] == '/' &&
            s_is_volume(spec, volume, partition))
            return rmt_text("%s", folder);
    }
    return NULL;
}

char *
rmt_fstab_root_uuid(const char *text)
{
    rmt_auto_str copy = rmt_text("%s", text);
    char *rest = copy, *line;
    while ((line = strsep(&rest, "\n"))) {
        char *save = NULL;
        const char *spec = strtok_r(line, " \t", &save);
        const char *folder = spec ? strtok_r(NULL, " \t", &save) : NULL;
        if (folder && strcmp(folder, "/") == 0 && strncmp(spec, "UUID=", 5) == 0 &&
            strlen(spec) == 5 + 36)
            return rmt_text("%s", spec + 5);
    }
    return NULL;
}
