#include "disk/rmt_lvm_report.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <stdlib.h>
#include <string.h>

// The value of a field of one line "  LVM2_A='x'|LVM2_B='y'", up to size. False: it has
// none.
static bool
s_field(const char *line, const char *name, char *out, size_t size)
{
    rmt_auto_str key = rmt_text("LVM2_%s=", name);
    const char *at = strstr(line, key);
    if (!at)
        return false;
    at += strlen(key);
    const size_t length = strcspn(at, "|\n");
    if (length == 0 || length >= size)
        return false;
    memcpy(out, at, length);
    out[length] = '\0';
    return true;
}

static bool
s_number(const char *line, const char *name, uint64_t *out)
{
    char text[32];
    if (!s_field(line, name, text, sizeof text))
        return false;
    char *end;
    *out = strtoull(text, &end, 10);
    return end != text && *end == '\0';
}

bool
rmt_lvm_report_volume(const char *line, rmt_lvm_t *volume_out)
{
    char layout[64];
    rmt_lvm_t volume = {.size = 0};
    if (!s_field(line, "VG_NAME", volume.group, sizeof volume.group) ||
        !s_field(line, "LV_NAME", volume.name, sizeof volume.name) ||
        !s_number(line, "LV_SIZE", &volume.size) ||
        !s_number(line, "VG_FREE", &volume.free_size) ||
        !s_field(line, "LV_LAYOUT", layout, sizeof layout))
        return false;
    volume.is_thin = strcmp(layout, "thin,sparse") == 0;
    *volume_out = volume;
    return true;
}

bool
rmt_lvm_report_is_invalid(const char *report)
{
    char text[32];
    return s_field(report, "LV_SNAPSHOT_INVALID", text, sizeof text) &&
           strcmp(text, "snapshot invalid") == 0;
}

int
rmt_lvm_parse(const char *output, rmt_lvm_t *volume_out, rmt_error_t *error)
{
    rmt_auto_str copy = rmt_text("%s", output);
    char *rest = copy, *line;
    // Warnings stand among the lines.
    while ((line = strsep(&rest, "\n")))
        if (rmt_lvm_report_volume(line, volume_out))
            return 0;
    return rmt_fail(error, RMT_E_UNSUPPORTED,
                    "the program lvs printed no logical volume");
}
