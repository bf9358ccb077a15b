#include "disk/rmt_mounted.h"
#include "base/rmt_auto.h"
#include "base/rmt_escape.h"
#include "base/rmt_io.h"
#include "base/rmt_sysfs.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define TABLE "/proc/self/mountinfo"
#define TABLE_SIZE_MAX ((size_t) 4 * 1024 * 1024)

typedef struct {
    unsigned major, minor;
    char type[64];
    char source[PATH_MAX];
} mount_t;

// The last mount on a folder hides those before it.
static bool
s_find(const char *table, const char *folder, mount_t *found)
{
    rmt_auto_str copy = rmt_text("%s", table);
    char *rest = copy, *line;
    bool is_found = false;
    while ((line = strsep(&rest, "\n"))) {
        unsigned major_number, minor_number;
        char point[PATH_MAX];
        const char *end = strstr(line, " - ");
        if (!end ||
            sscanf(line, "%*d %*d %u:%u %*s %4095s", &major_number, &minor_number,
                   point) != 3 ||
            strcmp(rmt_escape_undo(point, RMT_ESCAPE_OCTAL), folder) != 0 ||
            sscanf(end, " - %63s %4095s", found->type, found->source) != 2)
            continue;
        (void) rmt_escape_undo(found->source, RMT_ESCAPE_OCTAL);
        found->major = major_number;
        found->minor = minor_number;
        is_found = true;
    }
    return is_found;
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

static int
s_refuse(rmt_error_t *error, const char *folder, const char *layer)
{
    return rmt_fail(error, RMT_E_UNSUPPORTED, "%s lies on %s, which is not supported",
                    folder, layer);
}

int
rmt_mounted_disk_at(const char *table, const char *sysfs, const char *folder,
                    char **disk_out, rmt_error_t *error)
{
    assert(table && sysfs && folder);
    mount_t mount = {.major = 0};
    struct stat status;
    char path[PATH_MAX];
    if (!s_find(table, folder, &mount))
        return rmt_fail(error, RMT_E_NOT_FOUND, "no file system is mounted on %s",
                        folder);
    if (strcmp(mount.type, "zfs") == 0)
        return s_refuse(error, folder, "ZFS");
    // btrfs shows a number of its own; its device is told by name.
    if (mount.major == 0 && stat(mount.source, &status) == 0 && S_ISBLK(status.st_mode)) {
        mount.major = major(status.st_rdev);
        mount.minor = minor(status.st_rdev);
    }
    rmt_auto_str link = rmt_text("%s/dev/block/%u:%u", sysfs, mount.major, mount.minor);
    *disk_out = NULL;
    if (mount.major == 0 || !realpath(link, path)) {
        *disk_out = rmt_text("%s", "");
        return 0;
    }
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
rmt_mounted_disk(const char *folder, char **disk_out, rmt_error_t *error)
{
    rmt_auto_ptr table = NULL;
    size_t size = 0;
    if (rmt_io_load(TABLE, TABLE_SIZE_MAX, &table, &size, error) == -1)
        return -1;
    return rmt_mounted_disk_at(table, "/sys", folder, disk_out, error);
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
    rmt_auto_ptr table = NULL;
    size_t size = 0;
    if (stat(device, &status) == -1)
        return rmt_fail_errno(error, "find device %s", device);
    *folder_out = NULL;
    if (wanted && s_is_on(status.st_rdev, wanted)) {
        *folder_out = rmt_text("%s", wanted);
        return 0;
    }
    if (rmt_io_load(TABLE, TABLE_SIZE_MAX, &table, &size, error) == -1)
        return -1;
    char *rest = table, *line;
    while ((line = strsep(&rest, "\n"))) {
        unsigned major_number, minor_number;
        char root[PATH_MAX], folder[PATH_MAX];
        if (sscanf(line, "%*d %*d %u:%u %4095s %4095s", &major_number, &minor_number,
                   root, folder) != 4 ||
            makedev(major_number, minor_number) != status.st_rdev ||
            strcmp(root, "/") != 0)
            continue;
        (void) rmt_escape_undo(folder, RMT_ESCAPE_OCTAL);
        if (s_is_on(status.st_rdev, folder)) {
            *folder_out = rmt_text("%s", folder);
            return 0;
        }
    }
    return 0;
}

// ---- Is it written?

// Words of a superblock begin with whether it may be written; a mount alone may be
// read-only even so.
static bool
s_is_written(const char *line, dev_t device)
{
    char source[PATH_MAX], options[4];
    struct stat status;
    const char *end = strstr(line, " - ");
    return end && sscanf(end, " - %*s %4095s %3[a-z]", source, options) == 2 &&
           strcmp(options, "rw") == 0 &&
           stat(rmt_escape_undo(source, RMT_ESCAPE_OCTAL), &status) == 0 &&
           S_ISBLK(status.st_mode) && status.st_rdev == device;
}

bool
rmt_mounted_is_written(const char *device)
{
    assert(device);
    rmt_auto_ptr table = NULL;
    size_t size = 0;
    rmt_error_t unknown = {0};
    struct stat status;
    if (stat(device, &status) == -1 || !S_ISBLK(status.st_mode) ||
        rmt_io_load(TABLE, TABLE_SIZE_MAX, &table, &size, &unknown) == -1)
        return false;
    char *rest = table, *line;
    while ((line = strsep(&rest, "\n")))
        if (s_is_written(line, status.st_rdev))
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
