#include "disk/rmt_mounted.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_sysfs.h"
#include "disk/rmt_mount_table.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

// The last mount on a folder hides those before it.
static const rmt_mount_line_t *
s_find(const rmt_mount_table_t *table, const char *folder)
{
    for (size_t i = rmt_mount_table_count(table); i > 0; i--)
        if (strcmp(rmt_mount_table_at(table, i - 1)->folder, folder) == 0)
            return rmt_mount_table_at(table, i - 1);
    return NULL;
}

// Name of the layer that a block device is of, or NULL.
static const char *
s_layer(const char *device)
{
    static const struct {
        const char *prefix, *name;
    } rows[] = {{"LVM-", "LVM"},
                {"CRYPT-", "an encrypted volume"},
                {"mpath-", "multipath"},
                {"", "device-mapper"}};
    char uuid[RMT_SYSFS_TEXT_SIZE];
    if (rmt_sysfs_exists("%s/md", device))
        return "software RAID";
    if (rmt_sysfs_exists("%s/bcache", device))
        return "bcache";
    if (strncmp(strrchr(device, '/') + 1, "drbd", 4) == 0)
        return "DRBD";
    if (!rmt_sysfs_exists("%s/dm", device))
        return NULL;
    rmt_sysfs_text(uuid, "%s/dm/uuid", device);
    // A partition of such a device is one too: part1-mpath-...
    const char *of = strncmp(uuid, "part", 4) == 0 ? strchr(uuid, '-') : NULL;
    of = of ? of + 1 : uuid;
    for (size_t i = 0;; i++)
        if (strncmp(of, rows[i].prefix, strlen(rows[i].prefix)) == 0)
            return rows[i].name;
}

static bool
s_is_array(const char *path)
{
    return rmt_sysfs_exists("%s/md", path);
}

static bool
s_is_read_through(const char *path)
{
    char uuid[RMT_SYSFS_TEXT_SIZE];
    rmt_sysfs_text(uuid, "%s/dm/uuid", path);
    return strncmp(uuid, "LVM-", 4) == 0 || strncmp(uuid, "CRYPT-LUKS", 10) == 0 ||
           s_is_array(path);
}

// A logical volume lies on partitions, or on further parts of its group; LUKS that is
// open on its partition; an array on its members, of which those that are whole disks are
// not read. The path becomes that of the first device below all of them.
static void
s_go_below(char path[PATH_MAX])
{
    while (s_is_read_through(path)) {
        rmt_auto_str slaves = rmt_sysfs_list("%s/slaves", path);
        rmt_auto_str link = rmt_text("%s/slaves/%s", path, slaves);
        char below[PATH_MAX];
        if (!*slaves || !realpath(link, below) ||
            (s_is_array(path) && !rmt_sysfs_exists("%s/partition", below)))
            return;
        strcpy(path, below);
    }
}

static int
s_refuse(rmt_error_t *error, const char *folder, const char *layer)
{
    return rmt_fail(error, RMT_E_UNSUPPORTED, "%s lies on %s, which is not supported",
                    folder, layer);
}

// btrfs shows a number of its own; its device is told by name.
static dev_t
s_device(const rmt_mount_line_t *line)
{
    struct stat status;
    return major(line->device) == 0 && stat(line->spec, &status) == 0 &&
                   S_ISBLK(status.st_mode)
               ? status.st_rdev
               : line->device;
}

static int
s_find_disk(const rmt_mount_table_t *table, const char *sysfs, const char *folder,
            char **disk_out, rmt_error_t *error)
{
    char path[PATH_MAX];
    const rmt_mount_line_t *mount = s_find(table, folder);
    if (!mount)
        return rmt_fail(error, RMT_E_NOT_FOUND, "no file system is mounted on %s",
                        folder);
    if (strcmp(mount->type, "zfs") == 0)
        return s_refuse(error, folder, "ZFS");
    const dev_t device = s_device(mount);
    rmt_auto_str link =
        rmt_text("%s/dev/block/%u:%u", sysfs, major(device), minor(device));
    *disk_out = NULL;
    if (major(device) == 0 || !realpath(link, path)) {
        *disk_out = rmt_text("%s", "");
        return 0;
    }
    s_go_below(path);
    const char *layer = s_layer(path);
    if (layer)
        return s_refuse(error, folder, layer);
    if (!rmt_sysfs_exists("%s/partition", path)) {
        *disk_out = rmt_text("%s", "");
        return 0;
    }
    *strrchr(path, '/') = '\0';
    layer = s_layer(path);
    if (layer)
        return s_refuse(error, folder, layer);
    // The kernel writes ! in sysfs for a slash in a name.
    char *disk = rmt_text("/dev/%s", strrchr(path, '/') + 1);
    for (char *at = disk; (at = strchr(at, '!'));)
        *at = '/';
    *disk_out = disk;
    return 0;
}

int
rmt_mounted_disk_at(const char *table, const char *sysfs, const char *folder,
                    char **disk_out, rmt_error_t *error)
{
    assert(table && sysfs && folder);
    rmt_auto(rmt_mount_table) lines = rmt_mount_table_live(table, error);
    return lines ? s_find_disk(lines, sysfs, folder, disk_out, error) : -1;
}

int
rmt_mounted_disk(const char *folder, char **disk_out, rmt_error_t *error)
{
    rmt_auto(rmt_mount_table) lines = rmt_mount_table_live(NULL, error);
    return lines ? s_find_disk(lines, "/sys", folder, disk_out, error) : -1;
}

// ---- Where a device is mounted

static bool
s_is_on(dev_t device, const char *folder)
{
    rmt_auto_str inside = rmt_text("%s/.", folder);
    struct stat top;
    return stat(inside, &top) == 0 && top.st_dev == device;
}

int
rmt_mounted_folder(const char *device, const char *wanted, char **folder_out,
                   rmt_error_t *error)
{
    assert(device && folder_out);
    struct stat status;
    if (stat(device, &status) == -1)
        return rmt_fail_errno(error, "find device %s", device);
    *folder_out = NULL;
    if (wanted && s_is_on(status.st_rdev, wanted)) {
        *folder_out = rmt_text("%s", wanted);
        return 0;
    }
    rmt_auto(rmt_mount_table) table = rmt_mount_table_live(NULL, error);
    if (!table)
        return -1;
    for (size_t i = 0; i < rmt_mount_table_count(table); i++) {
        const rmt_mount_line_t *line = rmt_mount_table_at(table, i);
        if (line->device == status.st_rdev && strcmp(line->root, "/") == 0 &&
            s_is_on(status.st_rdev, line->folder)) {
            *folder_out = rmt_text("%s", line->folder);
            return 0;
        }
    }
    return 0;
}

// ---- Is it written?

// The options are those of the superblock; a mount alone may be read-only even so.
static bool
s_is_written(const rmt_mount_line_t *line, dev_t device)
{
    struct stat status;
    return rmt_mount_option(line, "rw", NULL, NULL) && stat(line->spec, &status) == 0 &&
           S_ISBLK(status.st_mode) && status.st_rdev == device;
}

bool
rmt_mounted_is_written(const char *device)
{
    assert(device);
    rmt_error_t unknown = {0};
    struct stat status;
    if (stat(device, &status) == -1 || !S_ISBLK(status.st_mode))
        return false;
    rmt_auto(rmt_mount_table) table = rmt_mount_table_live(NULL, &unknown);
    for (size_t i = 0; table && i < rmt_mount_table_count(table); i++)
        if (s_is_written(rmt_mount_table_at(table, i), status.st_rdev))
            return true;
    return false;
}

const char *
rmt_mounted_point(const char *folder, const char *root)
{
    static const char *const passing[] = {"/mnt", "/media", "/run", "/tmp"};
    const size_t size = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (strcmp(folder, root) == 0)
        return "/";
    if (strncmp(folder, root, size) != 0 || folder[size] != '/')
        return NULL;
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++) {
        const size_t length = strlen(passing[i]);
        if (strncmp(folder + size, passing[i], length) == 0 &&
            (folder[size + length] == '/' || !folder[size + length]))
            return NULL;
    }
    return folder + size;
}
