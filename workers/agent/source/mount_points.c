#include "agent/source/mount_points.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"

#include <string.h>
#include <sys/stat.h>

// The tree that a mount point lies in: of the volume with the longest mount point above.
static int
s_tree_above(rmt_source_disk_t *disk, const char *mount, const char **rest_out)
{
    int tree = -1;
    size_t longest = 0;
    for (size_t i = 0; i < rmt_source_disk_count(disk); i++) {
        const char *other = rmt_source_disk_volume(disk, i)->mount;
        if (!other || *other != '/' || strcmp(other, mount) == 0)
            continue;
        const size_t size = other[1] ? strlen(other) : 0;
        if (strncmp(mount, other, size) != 0 || mount[size] != '/' ||
            (tree != -1 && size < longest))
            continue;
        tree = rmt_source_disk_tree(disk, i);
        longest = size;
    }
    *rest_out = mount + longest;
    return tree;
}

// The first part of a path that is there and is no folder; it is cut off behind it.
static mode_t
s_find_hindrance(int tree, char *path)
{
    for (char *slash = path; slash;) {
        slash = strchr(slash + 1, '/');
        if (slash)
            *slash = '\0';
        const mode_t kind = rmt_rooted_kind(tree, path);
        if (kind != S_IFDIR)
            return kind;
        if (slash)
            *slash = '/';
    }
    return 0;
}

static int
s_check(int tree, const char *rest, const char *mount, rmt_error_t *error)
{
    rmt_auto_str path = rmt_text("%s", rest);
    rmt_auto_str folder = rmt_text("%s/.", rest);
    if (rmt_rooted_exists(tree, folder))
        return 0;
    const mode_t kind = s_find_hindrance(tree, path);
    if (kind == 0)
        return 0;
    return rmt_fail(error, RMT_E_UNSUPPORTED,
                    "nothing can be mounted on %s: %s%.*s is %s; make it a folder, or "
                    "take its line out of /etc/fstab",
                    mount, kind == S_IFLNK ? "the symlink " : "",
                    (int) (strlen(mount) - strlen(rest) + strlen(path)), mount,
                    kind == S_IFLNK ? "a way to no folder" : "not a folder");
}

int
rmt_mount_points_check(rmt_source_disk_t *disk, rmt_error_t *error)
{
    for (size_t i = 0; i < rmt_source_disk_count(disk); i++) {
        const char *mount = rmt_source_disk_volume(disk, i)->mount;
        const char *rest;
        if (!mount || *mount != '/' || !mount[1])
            continue;
        const int tree = s_tree_above(disk, mount, &rest);
        if (tree != -1 && s_check(tree, rest, mount, error) == -1)
            return -1;
    }
    return 0;
}
