#include "agent/source/source_reading.h"
#include "agent/source/raw.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_md_live.h"
#include "disk/rmt_mounted.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define SYSFS "/sys"

typedef struct {
    const char *root; // Where the system is
    const rmt_fstab_t *fstab;
    rmt_arrays_t *arrays; // What lies in these is read when all of their parts are known
    rmt_groups_t *groups;
} running_t;

// A volume is read where the system has mounted it, by its fstab or by something else; of
// btrfs all subvolumes, and what is not mounted (noauto, a mount that failed), by mounts
// of our own.
static int
s_add_running(rmt_source_disk_t *self, const running_t *running, const char *device,
              size_t index, rmt_error_t *error)
{
    rmt_layout_volume_t *volume = &self->layout->volumes[index];
    if (volume->fs == RMT_FS_BTRFS)
        return rmt_source_mount(self, index, device, error);
    const char *root = strcmp(running->root, "/") == 0 ? "" : running->root;
    rmt_auto_str point =
        running->fstab ? rmt_source_mount_point(self, running->fstab, index) : NULL;
    rmt_auto_str wanted = point ? rmt_text("%s%s", root, point) : NULL;
    rmt_auto_str tree = NULL;
    if (rmt_mounted_folder(device, wanted, &tree, error) == -1)
        return -1;
    if (!tree)
        return rmt_source_mount(self, index, device, error);
    const char *shown = point ? point : rmt_mounted_point(tree, running->root);
    if (shown)
        volume->mount = rmt_text("%s", shown);
    return rmt_source_add_tree(self, index, tree, error);
}

// Caller owns the result (free).
static char *
s_node(const rmt_source_disk_t *self, size_t disk, uint64_t number)
{
    const char *path = self->devices[disk].path;
    const char *gap = isdigit((unsigned char) path[strlen(path) - 1]) ? "p" : "";
    return number ? rmt_text("%s%s%" PRIu64, path, gap, number) : rmt_text("%s", path);
}

// A physical volume, or a volume of its own.
static int
s_add_running_device(rmt_source_disk_t *self, const running_t *running,
                     const rmt_source_place_t *place, char **device_p, rmt_error_t *error)
{
    size_t index = 0;
    bool is_physical = false;
    if (rmt_source_take_physical(running->groups, place, *device_p, &is_physical,
                                 error) == -1)
        return -1;
    if (is_physical)
        return 0;
    return rmt_source_probe(self, place, device_p, &index, error) == -1 ||
                   ((place->array || !place->number) &&
                    rmt_source_refuse_unknown(self, index, error) == -1) ||
                   s_add_running(self, running, *device_p, index, error) == -1
               ? -1
               : 0;
}

static int
s_add_running_partition(rmt_source_disk_t *self, const running_t *running,
                        const rmt_source_place_t *place, rmt_error_t *error)
{
    bool is_member = false;
    rmt_auto_str device = s_node(self, place->disk, place->number);
    if (rmt_raw_is(self->layout, place->disk, place->number))
        return rmt_raw_open(
            self, rmt_layout_find_partition(self->layout, place->disk, place->number),
            device, 0, true, error);
    if (place->number && rmt_source_take_member(self, place, device, running->arrays,
                                                &is_member, error) == -1)
        return -1;
    if (is_member)
        return 0;
    if (place->number && rmt_source_take_crypt(self, place, &device, error) == -1)
        return -1;
    return s_add_running_device(self, running, place, &device, error);
}

// The node of an array. Its members on the imaged disks must be those that the kernel
// has.
static int
s_find_array(const rmt_source_disk_t *self, size_t index, char **node_out,
             rmt_error_t *error)
{
    for (size_t i = 0; i < self->layout->member_count; i++) {
        const rmt_layout_member_t *member = &self->layout->members[i];
        rmt_auto_str device = s_node(self, member->disk, member->partition);
        rmt_auto_str node = NULL;
        if (member->array != index)
            continue;
        if (rmt_md_live_find(SYSFS, device, &node, error) == -1)
            return -1;
        if (*node_out && strcmp(*node_out, node) != 0)
            return rmt_fail(error, RMT_E_UNSUPPORTED,
                            "%s is a member of %s, and says that it is one of %s; clear "
                            "what it says with mdadm --zero-superblock when it is free",
                            device, node, *node_out);
        free(*node_out);
        *node_out = rmt_take(&node);
    }
    return 0;
}

static int
s_add_running_array(rmt_source_disk_t *self, const running_t *running, size_t index,
                    rmt_error_t *error)
{
    const rmt_layout_member_t *member = self->layout->members;
    while (member->array != index)
        member++;
    const rmt_source_place_t place = {.disk = member->disk,
                                      .array = &self->layout->arrays[index]};
    rmt_auto_str device = NULL;
    return s_find_array(self, index, &device, error) == -1
               ? -1
               : s_add_running_device(self, running, &place, &device, error);
}

static int
s_add_running_arrays(rmt_source_disk_t *self, const running_t *running,
                     rmt_error_t *error)
{
    rmt_arrays_set_running(running->arrays);
    if (rmt_arrays_finish(running->arrays, self->layout, self->dropped, error) == -1 ||
        rmt_layout_check(self->layout, error) == -1)
        return -1;
    for (size_t i = 0; i < self->layout->array_count; i++)
        if (s_add_running_array(self, running, i, error) == -1)
            return -1;
    return 0;
}

static int
s_add_running_logical(rmt_source_disk_t *self, const running_t *running,
                      const rmt_layout_logical_t *logical, rmt_error_t *error)
{
    size_t index = 0;
    rmt_auto_str path = rmt_layout_logical_path(self->layout, logical);
    rmt_auto_str device =
        rmt_layout_lvm_node(self->layout->groups[logical->group].name, logical->name);
    if (access(device, F_OK) == -1)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "logical volume %s is not active; start it with lvchange -ay %s",
                        path, path);
    const rmt_source_place_t place = {.disk = logical->disk, .logical = path};
    if (rmt_source_take_crypt(self, &place, &device, error) == -1 ||
        rmt_source_probe(self, &place, &device, &index, error) == -1 ||
        s_add_running(self, running, device, index, error) == -1)
        return rmt_wrap(error, "logical volume %s", path);
    return 0;
}

static int
s_add_all_running(rmt_source_disk_t *self, const running_t *running, rmt_error_t *error)
{
    for (size_t i = 0; i < self->layout->partition_count; i++) {
        const rmt_layout_partition_t *partition = &self->layout->partitions[i];
        const rmt_source_place_t place = {.disk = partition->disk,
                                          .number = partition->number};
        if (!rmt_layout_is_extended(partition) &&
            s_add_running_partition(self, running, &place, error) == -1)
            return rmt_source_name_part(self, &place, error);
    }
    for (size_t i = 0; i < self->device_count; i++) {
        const rmt_source_place_t place = {.disk = i};
        if (!rmt_layout_last(self->layout, i) &&
            s_add_running_partition(self, running, &place, error) == -1)
            return rmt_wrap(error, "disk %s", self->devices[i].path);
    }
    if (s_add_running_arrays(self, running, error) == -1 ||
        rmt_groups_finish(running->groups, self->layout, error) == -1)
        return -1;
    for (size_t i = 0; i < self->layout->logical_count; i++)
        if (s_add_running_logical(self, running, &self->layout->logicals[i], error) == -1)
            return -1;
    return 0;
}

int
rmt_source_open_running(rmt_source_disk_t *self, const char *path, const char *root,
                        rmt_error_t *error)
{
    if (rmt_source_begin(self, path, error) == -1)
        return -1;
    for (size_t i = 0; i < self->device_count; i++) {
        rmt_source_device_t *one = &self->devices[i];
        one->running = open(one->path, O_RDONLY | O_CLOEXEC);
        if (one->running == -1)
            return rmt_fail_errno(error, "open %s", one->path);
    }
    if (rmt_source_fstab(self, root, &self->fstab, error) == -1)
        return -1;
    const rmt_fstab_t *fstab = self->fstab;
    rmt_auto(rmt_arrays) arrays = rmt_arrays_new();
    rmt_auto(rmt_groups) groups = rmt_groups_new();
    const running_t running = {
        .root = root, .fstab = fstab, .arrays = arrays, .groups = groups};
    if (s_add_all_running(self, &running, error) == -1)
        return -1;
    rmt_source_set_mounts(self, fstab);
    if (rmt_source_check_crypttab(self, root, error) == -1)
        return -1;
    if (fstab && rmt_fstab_check(fstab, self->layout, error) == -1)
        return -1;
    if (rmt_source_disk_root(self) == -1)
        return rmt_fail(error, RMT_E_CONFIG,
                        "%s has no volume that is / in the fstab of %s", path, root);
    return 0;
}
