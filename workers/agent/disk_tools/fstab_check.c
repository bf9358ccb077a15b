// What an fstab takes from disks that are not in the image.
#include "agent/disk_tools/fstab.h"
#include "agent/disk_tools/device_name.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <string.h>

static bool
s_is_swap(const rmt_mount_line_t *line)
{
    return strcmp(line->type, "swap") == 0;
}

// Lines that a system does without, and that are no devices of disks.
static bool
s_counts(const rmt_mount_line_t *line)
{
    static const char *const others[] = {"/dev/sr",  "/dev/cdrom", "/dev/dvd",
                                         "/dev/fd",  "/dev/loop",  "/dev/shm",
                                         "/dev/nfs", "/dev/ram",   "/dev/zram"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strncmp(line->value, others[i], strlen(others[i])) == 0 && !*line->tag)
            return false;
    return (*line->tag || strncmp(line->value, "/dev/", 5) == 0) &&
           (s_is_swap(line) || line->folder[0] == '/') &&
           !rmt_mount_option(line, "noauto", NULL, NULL) &&
           !rmt_mount_option(line, "nofail", NULL, NULL);
}

static const rmt_layout_volume_t *
s_find(const rmt_fstab_t *self, const rmt_mount_line_t *line, const rmt_layout_t *layout)
{
    for (size_t i = 0; i < layout->volume_count; i++) {
        const rmt_layout_volume_t *volume = &layout->volumes[i];
        if (rmt_fstab_is_volume(self, line, layout, volume))
            return volume;
    }
    return NULL;
}

static bool
s_is_type(const rmt_mount_line_t *line, const rmt_layout_volume_t *volume)
{
    const char *fs = rmt_fs_kind_name(volume->fs);
    if (strcmp(line->type, "auto") == 0)
        return volume->fs != RMT_FS_SWAP && volume->fs != RMT_FS_NONE;
    if (strcmp(line->type, "msdos") == 0)
        return volume->fs == RMT_FS_VFAT;
    // The driver of ext4 mounts its elders.
    if (strncmp(line->type, "ext", 3) == 0)
        return strncmp(fs, "ext", 3) == 0;
    return strcmp(line->type, fs) == 0;
}

// A usual name that only seems to be this disk's has a type that differs, or mounts what
// another line has mounted elsewhere.
static bool
s_is_sure(const rmt_fstab_t *self, const rmt_mount_line_t *line,
          const rmt_layout_volume_t *volume, const rmt_layout_t *layout)
{
    rmt_auto_str disk = NULL;
    uint64_t number;
    if (!rmt_fstab_is_guess(self) || *line->tag ||
        !rmt_device_name_split(line->value, &disk, &number))
        return true;
    if (!s_is_type(line, volume))
        return false;
    for (size_t i = 0; i < rmt_mount_table_count(rmt_fstab_table(self)); i++) {
        const rmt_mount_line_t *other = rmt_mount_table_at(rmt_fstab_table(self), i);
        if (other != line && !volume->subvolume &&
            strcmp(other->folder, line->folder) != 0 &&
            s_find(self, other, layout) == volume)
            return false;
    }
    return !volume->mount || strcmp(volume->mount, line->folder) == 0;
}

static int
s_refuse(const rmt_mount_line_t *line, rmt_error_t *error)
{
    rmt_auto_str what =
        s_is_swap(line) ? rmt_text("swaps to %.200s", line->spec)
                        : rmt_text("mounts %.200s from %.200s", line->folder, line->spec);
    if (*line->tag && strcmp(line->tag, "ID") != 0)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "line %zu of /etc/fstab %s, which is not a volume of the imaged "
                        "disks; name its disk in the setting further-disks of the "
                        "source, or write nofail or noauto in its line to leave it out",
                        line->number, what);
    return rmt_fail(error, RMT_E_UNSUPPORTED,
                    "line %zu of /etc/fstab %s, and ramet cannot be sure that this name "
                    "means an imaged disk; write UUID= with what blkid shows for it, "
                    "or, when it is on another disk, nofail or noauto to leave it out",
                    line->number, what);
}

// Which of two a machine mounts is chance.
static int
s_check_one(const rmt_fstab_t *self, const rmt_mount_line_t *line,
            const rmt_layout_t *layout, const rmt_layout_volume_t *first,
            rmt_error_t *error)
{
    for (size_t i = 0; i < layout->volume_count; i++) {
        const rmt_layout_volume_t *other = &layout->volumes[i];
        if (!rmt_layout_is_beside(first, other) &&
            rmt_fstab_is_volume(self, line, layout, other))
            return rmt_fail(error, RMT_E_UNSUPPORTED,
                            "line %zu of /etc/fstab names two file systems by %.200s, on "
                            "disks '%s' and '%s', and ramet cannot be sure which one is "
                            "meant; give one of them another one, such as with tune2fs "
                            "-U random or xfs_admin -U generate, or take its disk out of "
                            "the source",
                            line->number, line->spec, layout->disks[first->disk].role,
                            layout->disks[other->disk].role);
    }
    return 0;
}

int
rmt_fstab_check(const rmt_fstab_t *self, const rmt_layout_t *layout, rmt_error_t *error)
{
    const rmt_mount_table_t *table = rmt_fstab_table(self);
    for (size_t i = 0; i < rmt_mount_table_count(table); i++) {
        const rmt_mount_line_t *line = rmt_mount_table_at(table, i);
        const rmt_layout_volume_t *volume =
            s_counts(line) ? s_find(self, line, layout) : NULL;
        if (s_counts(line) && (!volume || !s_is_sure(self, line, volume, layout)))
            return s_refuse(line, error);
        if (volume && s_check_one(self, line, layout, volume, error) == -1)
            return -1;
    }
    return 0;
}
