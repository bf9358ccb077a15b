#include "agent/source/source_reading.h"
#include "agent/hardware.h"
#include "agent/source/raw.h"
#include "agent/disk_tools/vfat.h"
#include "agent/source/parts.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_btrfs.h"
#include "disk/rmt_disk.h"
#include "disk/rmt_fs.h"
#include "disk/rmt_mounted.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

// "partition 1", of several disks "partition 1 of disk 'disk2'", "logical volume
// vg/root". Caller owns the result (free).
static char *
s_words(const rmt_source_disk_t *self, size_t disk, uint64_t number, const char *logical)
{
    if (logical)
        return rmt_text("logical volume %s", logical);
    const char *role = self->layout->disks[disk].role;
    if (self->device_count < 2)
        return number ? rmt_text("partition %" PRIu64, number) : rmt_text("the disk");
    return number ? rmt_text("partition %" PRIu64 " of disk '%s'", number, role)
                  : rmt_text("disk '%s'", role);
}

int
rmt_source_name_part(const rmt_source_disk_t *self, const rmt_source_place_t *place,
                     rmt_error_t *error)
{
    const char *role = self->layout->disks[place->disk].role;
    return rmt_parts_advise(self->name, self->device_count < 2 ? NULL : role,
                            place->number, error);
}

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
    rmt_auto_str path = s_words(self, volume->disk, volume->partition, volume->logical);
    rmt_source_disk_drop(self, path, "unknown data: targets get the space alone");
}

// Its name without the host's behind a word.
static char *
s_array_words(const rmt_layout_array_t *array, const char *before)
{
    const char *name = array->name ? array->name : array->uuid;
    const char *colon = strchr(name, ':');
    return rmt_text("%s%s", before, colon ? colon + 1 : name);
}

int
rmt_source_probe(rmt_source_disk_t *self, const rmt_source_place_t *place,
                 char **device_p, size_t *volume_out, rmt_error_t *error)
{
    rmt_auto_str words = place->array
                             ? s_array_words(place->array, "array ")
                             : s_words(self, place->disk, place->number, place->logical);
    rmt_auto_str md = place->array ? s_array_words(place->array, "/dev/md/") : NULL;
    const rmt_replay_place_t replayed = {
        .words = words,
        .disk = md ? md : self->devices[place->disk].path,
        .sector = (uint32_t) self->layout->disks[place->disk].sector,
        .number = place->number,
        .logical = place->logical};
    rmt_auto(rmt_record) format = rmt_fs_probe(*device_p, error);
    if (!format ||
        rmt_replay_settle(self->replay, &replayed, device_p, &format, error) == -1)
        return -1;
    rmt_layout_volume_t *volume = rmt_layout_add_volume(self->layout, place->disk);
    volume->partition = place->number;
    volume->logical = place->logical ? rmt_text("%s", place->logical) : NULL;
    volume->array = place->array ? rmt_text("%s", place->array->uuid) : NULL;
    if (rmt_layout_set_format(volume, &format, error) == -1)
        return -1;
    if (!place->array)
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
rmt_source_take_physical(rmt_groups_t *groups, const rmt_source_place_t *place,
                         const char *device, bool *is_taken_out, rmt_error_t *error)
{
    if (rmt_fs_is_physical(device, is_taken_out, error) == -1)
        return -1;
    if (!*is_taken_out)
        return 0;
    rmt_auto_fd fd = open(device, O_RDONLY | O_CLOEXEC);
    const off_t bytes = fd == -1 ? -1 : lseek(fd, 0, SEEK_END);
    if (bytes == -1)
        return rmt_fail_errno(error, "open %s", device);
    const rmt_group_place_t own = {.disk = place->disk,
                                   .partition = place->number,
                                   .array = place->array ? place->array->uuid : NULL,
                                   .bytes = (uint64_t) bytes};
    return rmt_groups_add(groups, &own, fd, error);
}

// What lies in layers is read when all of their parts are known.
typedef struct {
    rmt_arrays_t *arrays;
    rmt_groups_t *groups;
} layers_t;

static int
s_take_layer(rmt_source_disk_t *self, const rmt_source_place_t *place, const char *device,
             const layers_t *layers, bool *is_taken_out, rmt_error_t *error)
{
    if (rmt_source_take_member(self, place, device, layers->arrays, is_taken_out,
                               error) == -1)
        return -1;
    return *is_taken_out ? 0
                         : rmt_source_take_physical(layers->groups, place, device,
                                                    is_taken_out, error);
}

static int
s_read_partition(rmt_source_disk_t *self, const rmt_layout_partition_t *partition,
                 const layers_t *layers, rmt_error_t *error)
{
    size_t volume = 0;
    bool is_layer = false;
    const uint32_t number = (uint32_t) partition->number;
    const rmt_source_place_t place = {.disk = partition->disk, .number = number};
    rmt_blockdev_t *disk = self->devices[partition->disk].device;
    if (rmt_raw_is(self->layout, partition->disk, number))
        return rmt_raw_open(
            self, partition, rmt_blockdev_path(disk),
            partition->start * self->layout->disks[partition->disk].sector, false, error);
    rmt_auto_str device =
        rmt_blockdev_partition(disk, number, partition->start, partition->size, error);
    if (!device)
        return -1;
    if (s_take_layer(self, &place, device, layers, &is_layer, error) == -1) {
        rmt_rename(error, device, "it");
        return -1;
    }
    // The kernel knows no partitions inside of others, as which its volumes are read.
    if (is_layer)
        return rmt_blockdev_remove(disk, number, error);
    if (rmt_source_probe(self, &place, &device, &volume, error) == 0 &&
        rmt_source_mount(self, volume, device, error) == 0)
        return 0;
    // A node that is gone with the task is no name for a person.
    rmt_rename(error, device, "it");
    return -1;
}

const char *
rmt_source_show(rmt_source_disk_t *self, const char *name, rmt_mapping_t **mapping_p,
                uint32_t sector, rmt_error_t *error)
{
    assert(self->shown_count < RMT_SOURCE_SHOWN_MAX);
    rmt_source_shown_t *shown = &self->shown[self->shown_count++];
    shown->mapping = rmt_take(mapping_p);
    shown->blocks = rmt_mapping_blocks(shown->mapping);
    shown->disk = rmt_scratch_show(self->scratch, name, &shown->blocks, sector,
                                   RMT_BLOCKDEV_READ_ONLY, error);
    return shown->disk ? rmt_fuse_disk_device(shown->disk) : NULL;
}

// A disk without a table: a physical volume, or a file system.
static int
s_read_whole(rmt_source_disk_t *self, size_t disk, const layers_t *layers,
             rmt_error_t *error)
{
    size_t volume = 0;
    bool is_physical = false;
    const rmt_source_place_t place = {.disk = disk};
    rmt_auto_str device = rmt_text("%s", rmt_blockdev_path(self->devices[disk].device));
    if (rmt_source_take_physical(layers->groups, &place, device, &is_physical, error) ==
        -1)
        return -1;
    if (is_physical)
        return 0;
    if (rmt_source_probe(self, &place, &device, &volume, error) == -1)
        return -1;
    // Of a partition its table says at least that it is one.
    return rmt_source_refuse_unknown(self, volume, error) == -1
               ? -1
               : rmt_source_mount(self, volume, device, error);
}

static int
s_read_partitions(rmt_source_disk_t *self, size_t disk, const layers_t *layers,
                  rmt_error_t *error)
{
    for (size_t i = 0; i < self->layout->partition_count; i++) {
        const rmt_layout_partition_t *partition = &self->layout->partitions[i];
        if (partition->disk == disk && !rmt_layout_is_extended(partition) &&
            s_read_partition(self, partition, layers, error) == -1)
            return rmt_source_name_part(
                self, &(rmt_source_place_t){.disk = disk, .number = partition->number},
                error);
    }
    return rmt_layout_last(self->layout, disk) ? 0
                                               : s_read_whole(self, disk, layers, error);
}

static int
s_fail_disk(const rmt_source_disk_t *self, size_t disk, rmt_error_t *error)
{
    rmt_rename(error, rmt_blockdev_path(self->devices[disk].device), "it");
    return rmt_wrap(error, "disk %s", self->devices[disk].path);
}

static int
s_read_volumes(rmt_source_disk_t *self, rmt_error_t *error)
{
    rmt_auto(rmt_groups) groups = rmt_groups_new();
    rmt_auto(rmt_arrays) arrays = rmt_arrays_new();
    const layers_t layers = {arrays, groups};
    for (size_t i = 0; i < self->device_count; i++)
        if (s_read_partitions(self, i, &layers, error) == -1)
            return s_fail_disk(self, i, error);
    if (rmt_source_read_arrays(self, arrays, groups, error) == -1)
        return s_fail_disk(self, 0, error);
    if (rmt_groups_finish(groups, self->layout, error) == -1 ||
        rmt_layout_check(self->layout, error) == -1)
        return s_fail_disk(self, 0, error);
    for (size_t i = 0; i < self->layout->logical_count; i++)
        if (rmt_source_read_logical(self, i, error) == -1)
            return s_fail_disk(self, self->layout->logicals[i].disk, error);
    return 0;
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
        const rmt_layout_volume_t *volume = &self->layout->volumes[self->trees[i].volume];
        const uint64_t number = volume->partition;
        const rmt_fstab_place_t place = {.root_disk = volume->disk, .root = number};
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
s_find_mounts(rmt_source_disk_t *self, const char *first, rmt_error_t *error)
{
    int root;
    if (s_find_root(self, &self->fstab, &root, error) == -1)
        return -1;
    if (root != -1)
        self->layout->volumes[self->trees[root].volume].mount = rmt_text("/");
    rmt_source_set_mounts(self, self->fstab);
    if (self->fstab && rmt_fstab_check(self->fstab, self->layout, error) == -1)
        return rmt_wrap(error, "disk %s", first);
    return 0;
}

// Partitions that are carried block by block are volumes already.
static void
s_take_raws(rmt_source_disk_t *self, const rmt_layout_t *one)
{
    for (size_t i = 0; i < one->volume_count; i++) {
        rmt_layout_volume_t *volume =
            rmt_layout_add_volume(self->layout, self->layout->disk_count - 1);
        volume->partition = one->volumes[i].partition;
        volume->fs = one->volumes[i].fs;
        rmt_record_destroy(&volume->format);
        volume->format = rmt_record_dup(one->volumes[i].format);
    }
}

// A disk that belongs to a layer is refused; LVM on a disk without a table is read.
static int
s_check_layers(const char *path, const rmt_layout_t *one, rmt_error_t *error)
{
    bool is_physical = false;
    rmt_error_t ignored = {0};
    return one->partition_count == 0 &&
                   rmt_fs_is_physical(path, &is_physical, &ignored) == 0 && is_physical
               ? 0
               : rmt_fs_refuse_layers(path, error);
}

static int
s_add_disk(rmt_source_disk_t *self, const char *path, rmt_error_t *error)
{
    char role[RMT_RECORD_NAME_MAX + 1];
    if (self->device_count == RMT_LAYOUT_DISKS_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG, "the source has more than %d disks",
                        RMT_LAYOUT_DISKS_MAX);
    rmt_hardware_disk_role(self->device_count, role);
    rmt_auto(rmt_layout) one = rmt_disk_read(path, role, error);
    if (!one || s_check_layers(path, one, error) == -1)
        return -1;
    if (!self->layout) {
        self->layout = rmt_layout_new();
        self->table = rmt_layout_new();
    }
    rmt_layout_join(self->table, one);
    // The kernel would say of partitions that overlap that they are busy.
    if (rmt_layout_check(one, error) == -1 ||
        rmt_parts_apply(one, path, &self->parts, self->without, error) == -1)
        return rmt_wrap(error, "disk %s", path);
    rmt_layout_join(self->layout, one);
    s_take_raws(self, one);
    self->devices[self->device_count++] =
        (rmt_source_device_t){.path = rmt_text("%s", path), .running = -1};
    return 0;
}

int
rmt_source_begin(rmt_source_disk_t *self, const char *first, rmt_error_t *error)
{
    const char *path = first;
    size_t disks = 1;
    while (rmt_hardware_disk(self->config, disks))
        disks++;
    if (disks > 1 && rmt_parts_check_roles(&self->parts, disks, error) == -1)
        return -1;
    self->parts.has_roles = disks > 1 && !self->parts.is_loose;
    for (size_t place = 1; path; path = rmt_hardware_disk(self->config, place++))
        if (s_add_disk(self, path, error) == -1)
            return -1;
    self->scratch = rmt_scratch_new(error);
    if (!self->scratch)
        return -1;
    self->replay = rmt_replay_new(self->config, self->scratch);
    return 0;
}

int
rmt_source_open_disks(rmt_source_disk_t *self, const char *first, rmt_error_t *error)
{
    if (rmt_source_begin(self, first, error) == -1)
        return -1;
    rmt_auto_str nodes = rmt_scratch_folder(self->scratch, "nodes", error);
    if (!nodes)
        return -1;
    for (size_t i = 0; i < self->device_count; i++) {
        rmt_source_device_t *one = &self->devices[i];
        one->device =
            rmt_blockdev_new(one->path, RMT_BLOCKDEV_READ_ONLY,
                             (uint32_t) self->layout->disks[i].sector, nodes, error);
        if (!one->device)
            return rmt_wrap(error, "disk %s", one->path);
    }
    return s_read_volumes(self, error) == -1 ? -1 : s_find_mounts(self, first, error);
}
