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
rmt_source_fstab(const char *root, const char *disk, rmt_fstab_t **fstab_out,
                 rmt_error_t *error)
{
    const rmt_fstab_place_t place = {.disk = strcmp(root, "/") == 0 ? disk : NULL};
    rmt_auto_fd fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open tree %s", root);
    return rmt_fstab_load(fd, &place, fstab_out, error) == -1
               ? rmt_wrap(error, "tree %s", root)
               : 0;
}

// ---- A disk that is read

// The agent reports data that it cannot read; a target gets the space without it. GRUB's
// own partition has its pieces carried.
static void
s_note_unknown(rmt_source_disk_t *self, const rmt_layout_volume_t *volume)
{
    const rmt_layout_partition_t *partition =
        rmt_layout_partition_of(self->layout, volume);
    if (!rmt_record_has(volume->format, "content") ||
        (partition && rmt_layout_is_bios_boot(partition)))
        return;
    rmt_auto_str path = volume->logical
                            ? rmt_text("logical volume %s", volume->logical)
                            : rmt_text("partition %" PRIu64, volume->partition);
    rmt_source_disk_drop(self, path, "unknown data: targets get the space alone");
}

int
rmt_source_probe(rmt_source_disk_t *self, char **device_p, uint64_t number,
                 const char *logical, size_t *volume_out, rmt_error_t *error)
{
    rmt_auto(rmt_record) format = rmt_fs_probe(*device_p, error);
    if (!format ||
        rmt_replay_settle(self->replay, number, logical, device_p, &format, error) == -1)
        return -1;
    rmt_layout_volume_t *volume = rmt_layout_add_volume(self->layout, 0);
    volume->partition = number;
    volume->logical = logical ? rmt_text("%s", logical) : NULL;
    if (rmt_layout_set_format(volume, &format, error) == -1)
        return -1;
    s_note_unknown(self, volume);
    *volume_out = self->layout->volume_count - 1;
    return 0;
}

// A snapshot that nothing mounts is a copy of the past, of which the folder is kept.
static bool
s_is_dropped(const rmt_record_t *found)
{
    return rmt_record_has(found, "snapshot") && rmt_record_has(found, "read-only") &&
           !rmt_record_has(found, "default");
}

static int
s_add_subvolume(rmt_source_disk_t *self, size_t index, const rmt_record_t *found,
                const char *folder, rmt_error_t *error)
{
    rmt_layout_volume_t *volume = &self->layout->volumes[index];
    const char *path = rmt_record_text(found, "subvolume", "");
    if (strchr(path, ',') || strchr(path, '\n'))
        return rmt_fail(
            error, RMT_E_UNSUPPORTED,
            "subvolume '%.100s' has a name that cannot stand in a mount option", path);
    volume->subvolume = rmt_text("%s", path);
    volume->subvolume_id = rmt_record_u64(found, "subvolume-id", 0);
    volume->is_default = rmt_record_flag(found, "default");
    volume->is_read_only = rmt_record_flag(found, "read-only");
    rmt_auto_str tree = rmt_text("%s/%s", folder, path);
    return rmt_source_add_tree(self, index, tree, error);
}

// Each subvolume of a mounted btrfs is a volume; one without any is a volume itself.
static int
s_add_subvolumes(rmt_source_disk_t *self, size_t volume, const char *folder,
                 rmt_error_t *error)
{
    rmt_auto(rmt_records) found = rmt_btrfs_list(folder, error);
    if (!found)
        return -1;
    if (rmt_records_count(found) == 1)
        return rmt_source_add_tree(self, volume, folder, error);
    for (size_t i = 0; i < rmt_records_count(found); i++) {
        const rmt_record_t *one = rmt_records_at(found, i);
        if (s_is_dropped(one)) {
            rmt_auto_str path = rmt_text("/%s", rmt_record_text(one, "subvolume", ""));
            rmt_source_disk_drop(self, path, "a read-only snapshot");
            continue;
        }
        // The top comes first, and takes the volume that is there.
        if (i)
            (void) rmt_layout_add_sibling(self->layout, volume);
        if (s_add_subvolume(self, i ? self->layout->volume_count - 1 : volume, one,
                            folder, error) == -1)
            return -1;
    }
    return 0;
}

int
rmt_source_mount(rmt_source_disk_t *self, size_t volume, const char *device,
                 rmt_error_t *error)
{
    const rmt_fs_kind_t fs = self->layout->volumes[volume].fs;
    const bool is_vfat = fs == RMT_FS_VFAT;
    if (!is_vfat && !rmt_fs_is_mounted(fs))
        return 0;
    rmt_auto_str name = rmt_text("volume-%zu", self->count);
    rmt_auto_str folder = rmt_scratch_folder(self->scratch, name, error);
    if (!folder)
        return -1;
    if (is_vfat)
        return rmt_vfat_copy_out(device, folder, error) == -1
                   ? -1
                   : rmt_source_add_tree(self, volume, folder, error);
    // The subvolumes of one that is being written can have snapshots, for which a mount
    // that is read-only would be in the way.
    const bool is_btrfs = fs == RMT_FS_BTRFS;
    const bool read_only = !is_btrfs || !rmt_mounted_is_written(device);
    if (rmt_fs_mount(fs, NULL, device, folder, read_only, error) == -1)
        return -1;
    const int rc = is_btrfs ? s_add_subvolumes(self, volume, folder, error)
                            : rmt_source_add_tree(self, volume, folder, error);
    // Without a tree, only the end of the namespace unmounts it.
    if (rc == 0)
        self->trees[self->count - 1].folder = rmt_take(&folder);
    return rc;
}

int
rmt_source_take_physical(rmt_groups_t *groups, uint64_t number, const char *device,
                         bool *is_taken_out, rmt_error_t *error)
{
    if (rmt_fs_is_physical(device, is_taken_out, error) == -1)
        return -1;
    if (!*is_taken_out)
        return 0;
    rmt_auto_fd fd = open(device, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open %s", device);
    return rmt_groups_add(groups, number, fd, error);
}

static int
s_read_partition(rmt_source_disk_t *self, const rmt_layout_partition_t *partition,
                 rmt_groups_t *groups, rmt_error_t *error)
{
    size_t volume = 0;
    bool is_physical = false;
    const uint32_t number = (uint32_t) partition->number;
    if (rmt_raw_is(self->layout, number))
        return rmt_raw_open(self, partition, rmt_blockdev_path(self->disk),
                            partition->start * self->layout->disks[0].sector, false,
                            error);
    rmt_auto_str device = rmt_blockdev_partition(self->disk, number, partition->start,
                                                 partition->size, error);
    if (!device)
        return -1;
    if (rmt_source_take_physical(groups, number, device, &is_physical, error) == -1) {
        rmt_rename(error, device, "it");
        return -1;
    }
    // The kernel knows no partitions inside of others, as which its volumes are read.
    if (is_physical)
        return rmt_blockdev_remove(self->disk, number, error);
    if (rmt_source_probe(self, &device, number, NULL, &volume, error) == 0 &&
        rmt_source_mount(self, volume, device, error) == 0)
        return 0;
    // A node that is gone with the task is no name for a person.
    rmt_rename(error, device, "it");
    return -1;
}

// A logical volume that lies in one piece is read as a partition that the table lacks.
static int
s_read_logical(rmt_source_disk_t *self, size_t index, rmt_error_t *error)
{
    const rmt_layout_logical_t *logical = &self->layout->logicals[index];
    size_t volume = 0;
    rmt_auto_str path = rmt_layout_logical_path(self->layout, logical);
    if (logical->pieces != 1)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "logical volume %s lies in %" PRIu64
                        " pieces, which is not supported on a disk that is read from "
                        "outside; image the machine while it runs",
                        path, logical->pieces);
    const rmt_layout_run_t run =
        rmt_layout_run(self->layout, logical, logical->first, logical->extents);
    rmt_auto_str device =
        rmt_blockdev_partition(self->disk, rmt_layout_free_number(self->layout, index),
                               run.start, run.size, error);
    if (!device || rmt_source_probe(self, &device, 0, path, &volume, error) == -1 ||
        rmt_source_mount(self, volume, device, error) == -1)
        return rmt_wrap(error, "logical volume %s", path);
    return 0;
}

static int
s_read_volumes(rmt_source_disk_t *self, rmt_error_t *error)
{
    size_t volume = 0;
    rmt_auto(rmt_groups) groups = rmt_groups_new();
    for (size_t i = 0; i < self->layout->partition_count; i++) {
        const rmt_layout_partition_t *partition = &self->layout->partitions[i];
        if (!rmt_layout_is_extended(partition) &&
            s_read_partition(self, partition, groups, error) == -1)
            return rmt_parts_advise(self->name, partition->number, error);
    }
    if (rmt_groups_finish(groups, self->layout, error) == -1 ||
        rmt_layout_check(self->layout, error) == -1)
        return -1;
    for (size_t i = 0; i < self->layout->logical_count; i++)
        if (s_read_logical(self, i, error) == -1)
            return -1;
    if (self->layout->partition_count)
        return 0;
    rmt_auto_str device = rmt_text("%s", rmt_blockdev_path(self->disk));
    return rmt_source_probe(self, &device, 0, NULL, &volume, error) == -1
               ? -1
               : rmt_source_mount(self, volume, device, error);
}

char *
rmt_source_mount_point(rmt_source_disk_t *self, const rmt_fstab_t *fstab, size_t volume)
{
    return rmt_fstab_mount(fstab, self->layout, &self->layout->volumes[volume]);
}

// The root is the volume whose own table mounts it there: a snapshot of a root has a
// table too. Else the first with a table, or with users. *tree_out is -1 for none.
static int
s_find_root(rmt_source_disk_t *self, rmt_fstab_t **fstab_out, int *tree_out,
            rmt_error_t *error)
{
    int first = -1;
    for (size_t i = 0; i < self->count; i++) {
        rmt_auto(rmt_fstab) fstab = NULL;
        const uint64_t number = self->layout->volumes[self->trees[i].volume].partition;
        const rmt_fstab_place_t place = {.root = number};
        if (rmt_fstab_load(self->trees[i].fd, &place, &fstab, error) == -1)
            return number ? rmt_wrap(error, "partition %" PRIu64, number) : -1;
        rmt_auto_str folder =
            fstab ? rmt_source_mount_point(self, fstab, self->trees[i].volume) : NULL;
        const bool is_root = folder && strcmp(folder, "/") == 0;
        if (fstab && (is_root || !*fstab_out)) {
            rmt_fstab_destroy(fstab_out);
            *fstab_out = rmt_take(&fstab);
            first = (int) i;
        }
        if (is_root)
            break;
    }
    for (size_t i = 0; first == -1 && i < self->count; i++)
        if (faccessat(self->trees[i].fd, "etc/passwd", F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
            self->count == 1)
            first = (int) i;
    *tree_out = first;
    return 0;
}

void
rmt_source_set_mounts(rmt_source_disk_t *self, const rmt_fstab_t *fstab)
{
    for (size_t i = 0; fstab && i < self->count; i++) {
        rmt_layout_volume_t *volume = &self->layout->volumes[self->trees[i].volume];
        if (!volume->mount)
            volume->mount = rmt_source_mount_point(self, fstab, self->trees[i].volume);
    }
}

static int
s_find_mounts(rmt_source_disk_t *self, rmt_error_t *error)
{
    int root;
    if (s_find_root(self, &self->fstab, &root, error) == -1)
        return -1;
    if (root != -1)
        self->layout->volumes[self->trees[root].volume].mount = rmt_text("/");
    rmt_source_set_mounts(self, self->fstab);
    return self->fstab ? rmt_fstab_check(self->fstab, self->layout, error) : 0;
}

int
rmt_source_begin(rmt_source_disk_t *self, const char *path, rmt_error_t *error)
{
    if (rmt_fs_refuse_layers(path, error) == -1)
        return -1;
    self->layout = rmt_disk_read(path, RMT_HARDWARE_ROLE, error);
    if (!self->layout)
        return -1;
    self->table = rmt_layout_select(self->layout, 0);
    // The kernel would say of partitions that overlap that they are busy.
    if (rmt_layout_check(self->layout, error) == -1 ||
        rmt_parts_apply(self->layout, path, &self->parts, self->without, error) == -1)
        return rmt_wrap(error, "disk %s", path);
    self->scratch = rmt_scratch_new(error);
    if (!self->scratch)
        return -1;
    self->replay = rmt_replay_new(self->config, self->scratch, path,
                                  (uint32_t) self->layout->disks[0].sector);
    return 0;
}

static int
s_open_disk(rmt_source_disk_t *self, const char *path, rmt_error_t *error)
{
    if (rmt_source_begin(self, path, error) == -1)
        return -1;
    rmt_auto_str nodes = rmt_scratch_folder(self->scratch, "nodes", error);
    if (!nodes)
        return -1;
    const uint32_t sector = (uint32_t) self->layout->disks[0].sector;
    self->disk = rmt_blockdev_new(path, RMT_BLOCKDEV_READ_ONLY, sector, nodes, error);
    if (!self->disk)
        return rmt_wrap(error, "disk %s", path);
    if (s_read_volumes(self, error) == -1) {
        rmt_rename(error, rmt_blockdev_path(self->disk), "it");
        return rmt_wrap(error, "disk %s", path);
    }
    return s_find_mounts(self, error);
}

// ---- A tree that stands for a disk

// A disk that has no name is the system's, and so is what names no disk.
static void
s_complete(rmt_records_t *records)
{
    rmt_record_t *disk = rmt_records_find(records, "class", "disk");
    if (disk && !rmt_record_has(disk, "role"))
        rmt_record_set(disk, "role", RMT_HARDWARE_ROLE);
    for (size_t i = 0; disk && i < rmt_records_count(records); i++) {
        rmt_record_t *record = rmt_records_at(records, i);
        if (!rmt_record_is(record, "class", "disk") && !rmt_record_has(record, "disk"))
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
    return rmt_source_fstab(root, NULL, &self->fstab, error);
}

static int
s_open_tree(rmt_source_disk_t *self, const char *root, const char *name,
            rmt_error_t *error)
{
    if (rmt_source_fstab(root, NULL, &self->fstab, error) == -1)
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
    self->running = -1;
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
        rc = s_open_disk(self, disk, error);
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
    if (rc == 0 && self->scratch)
        rc = rmt_remake_try(self->layout, 0, self->layout->disks[0].bytes, true, error);
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
    if (self->running != -1)
        close(self->running);
    rmt_raw_close(self);
    rmt_blockdev_destroy(&self->disk);
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
rmt_source_disk_fd(const rmt_source_disk_t *self)
{
    return self->disk ? rmt_blockdev_fd(self->disk) : self->running;
}

bool
rmt_source_disk_is_running(const rmt_source_disk_t *self)
{
    return self->running != -1;
}

void
rmt_source_disk_settle(rmt_source_disk_t *self)
{
    if (self->is_default)
        rmt_default_layout_settle(self->layout);
    else if (self->disk || self->running != -1)
        rmt_min_size_set(self->layout);
}
