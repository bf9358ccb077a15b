#include "agent/source/source_disk.h"
#include "agent/source/source_reading.h"
#include "agent/source/default_layout.h"
#include "agent/source/mount_points.h"
#include "agent/disk_tools/fstab.h"
#include "agent/hardware.h"
#include "base/rmt_auto.h"
#include "disk/rmt_blockdev.h"
#include "disk/rmt_boot_code.h"
#include "disk/rmt_btrfs.h"
#include "disk/rmt_disk.h"
#include "facts/rmt_facts.h"
#include "disk/rmt_fs.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "disk/rmt_mounted.h"
#include "disk/rmt_remake.h"
#include "tree/rmt_walk.h"
#include "agent/source/min_size.h"
#include "agent/source/parts.h"
#include "agent/source/raw.h"
#include "agent/source/replay.h"
#include "agent/source/swap_files.h"
#include "agent/disk_tools/scratch.h"
#include "agent/disk_tools/vfat.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define FACTS_SIZE_MAX ((size_t) 1024 * 1024) // Of a file that describes a disk

int
rmt_source_add_tree(rmt_source_disk_t *self, size_t volume, const char *path,
                    rmt_error_t *error)
{
    if (self->count == RMT_SOURCE_TREES_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG,
                        "the source has more than %d volumes with files; remove some, or "
                        "unmount them and take them out of its fstab",
                        RMT_SOURCE_TREES_MAX);
    const int fd = rmt_walk_open_bare(path);
    if (fd == -1)
        return rmt_fail_errno(error, "open tree %s", path);
    self->trees[self->count++] = (rmt_source_tree_t){.volume = volume, .fd = fd};
    return 0;
}

int
rmt_source_fstab(const rmt_source_disk_t *self, const char *root, rmt_fstab_t **fstab_out,
                 rmt_error_t *error)
{
    const bool is_own = strcmp(root, "/") == 0;
    const char *disks[RMT_LAYOUT_DISKS_MAX];
    for (size_t i = 0; i < self->device_count; i++)
        disks[i] = self->devices[i].path;
    const rmt_fstab_place_t place = {.disks = disks,
                                     .disk_count = is_own ? self->device_count : 0};
    rmt_auto_fd fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open tree %s", root);
    return rmt_fstab_load(fd, &place, fstab_out, error) == -1
               ? rmt_wrap(error, "tree %s", root)
               : 0;
}

// ---- A tree that stands for a disk

// Groups and arrays lie on the disks of their parts.
static bool
s_has_disk(const rmt_record_t *record)
{
    return !rmt_record_is(record, "class", "disk") &&
           !rmt_record_is(record, "class", "group") &&
           !rmt_record_is(record, "class", "array");
}

// A disk that has no name is the system's, and so is what names no disk.
static void
s_complete(rmt_records_t *records)
{
    rmt_record_t *disk = rmt_records_find(records, "class", "disk");
    if (disk && !rmt_record_has(disk, "role"))
        rmt_record_set(disk, "role", RMT_HARDWARE_ROLE);
    for (size_t i = 0; disk && i < rmt_records_count(records); i++) {
        rmt_record_t *record = rmt_records_at(records, i);
        if (s_has_disk(record) && !rmt_record_has(record, "disk"))
            rmt_record_set(record, "disk", rmt_record_text(disk, "role", ""));
    }
}

static int
s_open_described(rmt_source_disk_t *self, const char *path, const char *root,
                 rmt_error_t *error)
{
    rmt_auto_ptr text = NULL;
    size_t size = 0;
    if (rmt_io_load(path, FACTS_SIZE_MAX, &text, &size, error) == -1)
        return -1;
    rmt_auto(rmt_records) records = rmt_facts_parse(text, error);
    if (records)
        s_complete(records);
    self->layout = records ? rmt_layout_read(records, error) : NULL;
    if (!self->layout)
        return rmt_wrap(error, "layout %s", path);
    for (size_t i = 0; i < self->layout->volume_count; i++) {
        const char *mount = self->layout->volumes[i].mount;
        if (!mount)
            continue;
        rmt_auto_str tree = rmt_text("%s%s", strcmp(root, "/") == 0 ? "" : root, mount);
        if (rmt_source_add_tree(self, i, tree, error) == -1)
            return -1;
    }
    if (self->count == 0)
        return rmt_fail(error, RMT_E_CONFIG, "layout %s mounts no volume", path);
    return rmt_source_fstab(self, root, &self->fstab, error);
}

static int
s_open_tree(rmt_source_disk_t *self, const char *root, const char *name,
            rmt_error_t *error)
{
    if (rmt_source_fstab(self, root, &self->fstab, error) == -1)
        return -1;
    rmt_auto_str uuid = self->fstab ? rmt_fstab_root_uuid(self->fstab) : NULL;
    self->is_default = true;
    self->layout = rmt_default_layout_new(name, uuid);
    return rmt_source_add_tree(self, 0, root, error);
}

// The whole tree of this computer is a running system when it lies on a partition; in a
// container, or on a disk without a table, it is a tree like any other.
static int
s_open_own(rmt_source_disk_t *self, const char *root, const char *name,
           rmt_error_t *error)
{
    rmt_auto_str disk = NULL;
    if (strcmp(root, "/") == 0 && rmt_mounted_disk(root, &disk, error) == -1)
        return rmt_wrap(error, "source");
    return disk && *disk ? rmt_source_open_running(self, disk, root, error)
                         : s_open_tree(self, root, name, error);
}

rmt_source_disk_t *
rmt_source_disk_new(const rmt_config_t *config, const char *name,
                    const rmt_parts_words_t *parts, rmt_error_t *error)
{
    const char *root = rmt_config_text(config, "root");
    const char *disk = rmt_config_text(config, "disk");
    const char *facts = rmt_config_text(config, "layout");
    rmt_auto(rmt_source_disk) self = calloc(1, sizeof *self);
    assert(self);
    self->config = config;
    self->name = name;
    self->parts = parts ? *parts : (rmt_parts_words_t){.without = ""};
    self->dropped = rmt_records_new();
    self->without = rmt_records_new();
    int rc;
    if (*root && *disk)
        rc = rmt_source_open_running(self, disk, root, error);
    else if (*root && *facts)
        rc = s_open_described(self, facts, root, error);
    else if (*root)
        rc = s_open_own(self, root, name, error);
    else if (*disk)
        rc = rmt_source_open_disks(self, disk, error);
    else
        rc = rmt_fail(
            error, RMT_E_CONFIG,
            "the settings root and disk are both empty; set one of them for a source");
    if (rc == 0 && !self->table)
        rc = rmt_parts_refuse(&self->parts, error);
    if (rc == 0)
        rc = rmt_swap_files_find(self, self->fstab, error);
    // A disk may hold what no copy could have: partitions that overlap.
    if (rc == 0 && !self->is_default)
        rc = rmt_layout_check(self->layout, error);
    if (rc == 0)
        rc = rmt_mount_points_check(self, error);
    for (size_t i = 0; rc == 0 && i < self->device_count; i++)
        rc = rmt_remake_try(self->layout, i, self->layout->disks[i].bytes, true, error);
    return rc == -1 ? NULL : rmt_take(&self);
}

void
rmt_source_disk_destroy(rmt_source_disk_t **self_p)
{
    rmt_source_disk_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        close(self->trees[i].fd);
    for (size_t i = 0; i < self->count; i++) {
        rmt_error_t ignored = {0};
        // Read-only mounts have nothing to lose, and the thread's end takes them too.
        if (self->trees[i].folder)
            (void) rmt_fs_unmount(self->trees[i].folder, &ignored);
        free(self->trees[i].folder);
    }
    rmt_replay_destroy(&self->replay);
    rmt_raw_close(self);
    // Logical volumes before the arrays on which they lie.
    for (size_t i = self->shown_count; i > 0; i--) {
        rmt_fuse_disk_destroy(&self->shown[i - 1].disk);
        rmt_mapping_destroy(&self->shown[i - 1].mapping);
    }
    for (size_t i = 0; i < self->device_count; i++) {
        if (self->devices[i].running != -1)
            close(self->devices[i].running);
        rmt_blockdev_destroy(&self->devices[i].device);
        free(self->devices[i].path);
    }
    rmt_scratch_destroy(&self->scratch);
    rmt_layout_destroy(&self->layout);
    rmt_layout_destroy(&self->table);
    rmt_records_destroy(&self->dropped);
    rmt_records_destroy(&self->without);
    rmt_fstab_destroy(&self->fstab);
    free(self);
    *self_p = NULL;
}

rmt_layout_t *
rmt_source_disk_layout(rmt_source_disk_t *self)
{
    return self->layout;
}

void
rmt_source_disk_drop(rmt_source_disk_t *self, const char *path, const char *reason)
{
    rmt_record_t *dropped = rmt_records_add(self->dropped);
    rmt_record_set(dropped, "path", path);
    rmt_record_set(dropped, "reason", reason);
}

const rmt_records_t *
rmt_source_disk_dropped(const rmt_source_disk_t *self)
{
    return self->dropped;
}

const rmt_records_t *
rmt_source_disk_replayed(const rmt_source_disk_t *self)
{
    return self->replay ? rmt_replay_told(self->replay) : NULL;
}

size_t
rmt_source_disk_count(const rmt_source_disk_t *self)
{
    return self->count;
}

rmt_layout_volume_t *
rmt_source_disk_volume(rmt_source_disk_t *self, size_t index)
{
    assert(index < self->count);
    return &self->layout->volumes[self->trees[index].volume];
}

int
rmt_source_disk_tree(const rmt_source_disk_t *self, size_t index)
{
    assert(index < self->count);
    return self->trees[index].fd;
}

int
rmt_source_disk_root(const rmt_source_disk_t *self)
{
    const rmt_layout_volume_t *root = rmt_layout_root(self->layout);
    for (size_t i = 0; root && i < self->count; i++)
        if (&self->layout->volumes[self->trees[i].volume] == root)
            return self->trees[i].fd;
    return -1;
}

int
rmt_source_disk_fd(const rmt_source_disk_t *self, size_t disk)
{
    assert(disk < self->layout->disk_count);
    if (disk >= self->device_count)
        return -1;
    const rmt_source_device_t *one = &self->devices[disk];
    return one->device ? rmt_blockdev_fd(one->device) : one->running;
}

bool
rmt_source_disk_is_running(const rmt_source_disk_t *self)
{
    return self->device_count && self->devices[0].running != -1;
}

void
rmt_source_disk_settle(rmt_source_disk_t *self)
{
    if (self->is_default)
        rmt_default_layout_settle(self->layout);
    else if (self->device_count)
        rmt_min_size_set(self->layout);
}
