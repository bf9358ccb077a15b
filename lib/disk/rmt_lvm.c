#include "disk/rmt_lvm.h"
#include "disk/rmt_lvm_report.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"
#include "base/rmt_sysfs.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#define TIMEOUT_MS 60000
#define SNAPSHOT_PREFIX "ramet-snapshot."
#define MIB ((uint64_t) 1024 * 1024)
// Less is used up before the reading has begun.
#define SPACE_MIN (16 * MIB)

// Its messages in English, and none about descriptors that this program has open.
static const char *const s_environment[] = {
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "LVM_SUPPRESS_FD_WARNINGS=1", NULL};

// *output_out may be NULL for "not wanted".
static int
s_run(const char *const *arguments, char **output_out, rmt_error_t *error)
{
    const rmt_process_t process = {
        .arguments = arguments, .environment = s_environment, .timeout_ms = TIMEOUT_MS};
    rmt_process_end_t end = {0};
    if (rmt_process_try(&process, &end, error) == -1)
        return -1;
    int result = 0;
    if (end.is_timeout)
        result =
            rmt_fail(error, RMT_E_IO, "%s did not end within its time", arguments[0]);
    else if (end.status != 0)
        result = rmt_fail(error, RMT_E_IO, "%s: %.400s", arguments[0], end.tail);
    else if (output_out)
        *output_out = rmt_take(&end.output);
    rmt_process_end_clear(&end);
    return result;
}

// ---- Finding

static int
s_list(const char *what, char **output_out, rmt_error_t *error)
{
    const char *const arguments[] = {"lvs",
                                     "--noheadings",
                                     "--nosuffix",
                                     "--units",
                                     "b",
                                     "--nameprefixes",
                                     "--unquoted",
                                     "--separator",
                                     "|",
                                     "-o",
                                     RMT_LVM_REPORT_FIELDS,
                                     what,
                                     NULL};
    return s_run(arguments, output_out, error);
}

int
rmt_lvm_find(dev_t device, rmt_lvm_t *volume_out, rmt_error_t *error)
{
    char uuid[RMT_SYSFS_TEXT_SIZE], name[RMT_SYSFS_TEXT_SIZE];
    rmt_auto_str folder =
        rmt_text("/sys/dev/block/%u:%u/dm", major(device), minor(device));
    rmt_sysfs_text(uuid, "%s/uuid", folder);
    rmt_sysfs_text(name, "%s/name", folder);
    if (strncmp(uuid, "LVM-", 4) != 0 || !*name)
        return rmt_fail(error, RMT_E_UNSUPPORTED, "the device is not a logical volume");
    rmt_auto_str path = rmt_text("/dev/mapper/%s", name);
    rmt_auto_str output = NULL;
    if (s_list(path, &output, error) == -1)
        return -1;
    return rmt_lvm_parse(output, volume_out, error);
}

// ---- Snapshots

uint64_t
rmt_lvm_space(const rmt_lvm_t *volume)
{
    // What was changed is kept once, with a list of where it was.
    const uint64_t most = volume->size + volume->size / 64 + SPACE_MIN;
    const uint64_t space = most < volume->free_size ? most : volume->free_size;
    return space < SPACE_MIN ? 0 : space;
}

static char *
s_path(const rmt_lvm_t *volume)
{
    return rmt_text("%s/%s", volume->group, volume->name);
}

int
rmt_lvm_remove(const rmt_lvm_t *volume, rmt_error_t *error)
{
    rmt_auto_str path = s_path(volume);
    const char *const arguments[] = {"lvremove", "-q", "--force", path, NULL};
    return s_run(arguments, NULL, error);
}

static int
s_create(const rmt_lvm_t *volume, const char *tag, const rmt_lvm_t *snapshot,
         rmt_error_t *error)
{
    rmt_auto_str origin = s_path(volume);
    rmt_auto_str size = rmt_text("%" PRIu64 "b", rmt_lvm_space(volume) / 512 * 512);
    const char *const thick[] = {
        "lvcreate",     "-q",     "--snapshot", "--addtag", tag, "--name",
        snapshot->name, "--size", size,         origin,     NULL};
    // Without the flag that keeps snapshots in a pool asleep.
    const char *const thin[] = {
        "lvcreate", "-q",           "--snapshot",          "--addtag", tag,
        "--name",   snapshot->name, "--setactivationskip", "n",        origin,
        NULL};
    return s_run(volume->is_thin ? thin : thick, NULL, error);
}

int
rmt_lvm_snapshot(const rmt_lvm_t *volume, const char *tag, rmt_lvm_t *snapshot_out,
                 rmt_error_t *error)
{
    assert(volume && tag && snapshot_out);
    rmt_lvm_t snapshot = *volume, old;
    snprintf(snapshot.name, sizeof snapshot.name, SNAPSHOT_PREFIX "%.100s", volume->name);
    rmt_auto_str path = s_path(&snapshot);
    rmt_auto_str output = NULL;
    rmt_error_t ignored;
    const bool is_left = s_list(path, &output, &ignored) == 0 &&
                         rmt_lvm_parse(output, &old, &ignored) == 0;
    if (is_left && rmt_lvm_remove(&snapshot, error) == -1)
        return rmt_wrap(error, "remove the snapshot %s of an earlier capture", path);
    if (!volume->is_thin && rmt_lvm_space(volume) == 0)
        return rmt_fail(error, RMT_E_NO_SPACE,
                        "volume group %s has %" PRIu64
                        " MiB free, and a snapshot needs %" PRIu64 " MiB",
                        volume->group, volume->free_size / MIB, SPACE_MIN / MIB);
    if (s_create(volume, tag, &snapshot, error) == -1)
        return rmt_wrap(error, "make a snapshot of %s/%s", volume->group, volume->name);
    *snapshot_out = snapshot;
    return 0;
}

int
rmt_lvm_check(const rmt_lvm_t *snapshot, rmt_error_t *error)
{
    rmt_auto_str path = s_path(snapshot);
    rmt_auto_str output = NULL;
    if (s_list(path, &output, error) == -1)
        return -1;
    if (rmt_lvm_report_is_invalid(output))
        return rmt_fail(error, RMT_E_NO_SPACE, "the snapshot %s ran out of space", path);
    return 0;
}

bool
rmt_lvm_is_used(void)
{
    rmt_auto_str names = rmt_sysfs_list("/sys/class/block");
    bool is_used = false;
    for (const char *name = names; *name && !is_used; name += strlen(name) + 1) {
        char uuid[RMT_SYSFS_TEXT_SIZE];
        rmt_sysfs_text(uuid, "/sys/class/block/%s/dm/uuid", name);
        is_used = strncmp(uuid, "LVM-", 4) == 0;
    }
    return is_used;
}

int
rmt_lvm_remove_tagged(const char *tag, rmt_error_t *error)
{
    rmt_auto_str what = rmt_text("@%s", tag);
    rmt_auto_str output = NULL;
    if (s_list(what, &output, error) == -1)
        return -1;
    int count = 0;
    char *rest = output, *line;
    while ((line = strsep(&rest, "\n"))) {
        rmt_lvm_t volume;
        if (!rmt_lvm_report_volume(line, &volume))
            continue;
        if (rmt_lvm_remove(&volume, error) == -1)
            return -1;
        count++;
    }
    return count;
}
