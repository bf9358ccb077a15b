#include "agent/source/swap_files.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "disk/rmt_fs.h"

#include <string.h>
#include <sys/stat.h>

#define UNITS "etc/systemd/system"

typedef struct {
    size_t tree;
    const char *path; // From the top of its volume, with a slash before it
} place_t;

static const char *
s_below(const char *path, const char *folder)
{
    const size_t size = strcmp(folder, "/") == 0 ? 0 : strlen(folder);
    return strncmp(path, folder, size) == 0 && path[size] == '/' ? path + size : NULL;
}

// The volume that is mounted nearest above a path. False for none.
static bool
s_find_mount(rmt_source_disk_t *disk, const char *path, place_t *place_out)
{
    size_t best = 0;
    for (size_t i = 0; i < rmt_source_disk_count(disk); i++) {
        const char *mount = rmt_source_disk_volume(disk, i)->mount;
        const char *rest = mount ? s_below(path, mount) : NULL;
        if (!rest || strlen(mount) < best)
            continue;
        best = strlen(mount);
        *place_out = (place_t){i, rest};
    }
    return best > 0;
}

// Subvolumes lie in one another like folders, also those that nothing mounts.
static void
s_enter_subvolumes(rmt_source_disk_t *disk, place_t *place)
{
    const rmt_layout_volume_t *top = rmt_source_disk_volume(disk, place->tree);
    const place_t from = *place;
    for (size_t i = 0; top->subvolume && i < rmt_source_disk_count(disk); i++) {
        const rmt_layout_volume_t *other = rmt_source_disk_volume(disk, i);
        if (other == top || !rmt_layout_is_beside(other, top) || !other->subvolume)
            continue;
        rmt_auto_str inside = rmt_text("%s%s", top->subvolume, from.path);
        const char *rest =
            s_below(*top->subvolume ? inside : inside + 1, other->subvolume);
        if (rest && *other->subvolume && strlen(rest) < strlen(place->path))
            *place = (place_t){i, from.path + strlen(from.path) - strlen(rest)};
    }
}

// What is wrong with it as a swap file, for people; NULL for nothing, and then
// *format_out and *status_out are set.
static const char *
s_look(int tree, const char *path, rmt_record_t **format_out, struct stat *status_out)
{
    rmt_error_t why = {0};
    const char *name = NULL;
    rmt_auto_fd fd = -1;
    rmt_auto_fd folder = rmt_rooted_open_parent(tree, path, &name, &why);
    const mode_t kind = rmt_rooted_kind(tree, path);
    if (kind == S_IFLNK || (folder == -1 && why.code == RMT_E_REFUSED))
        return "has a symlink in its path";
    if (folder == -1 || kind != S_IFREG)
        return "does not exist";
    if (rmt_rooted_open(tree, path, &fd, &why) == -1 || fd == -1 ||
        fstat(fd, status_out) == -1)
        return "cannot be read";
    rmt_auto_str device = rmt_text("/proc/self/fd/%d", fd);
    *format_out = rmt_fs_probe(device, &why);
    if (!*format_out)
        return "holds something else, or a system that hibernates";
    return strcmp(rmt_record_text(*format_out, "fs", ""), "swap") == 0
               ? NULL
               : "is not a swap file";
}

static char *
s_field(const rmt_record_t *format, const char *name)
{
    const char *text = rmt_record_text(format, name, "");
    return *text ? rmt_text("%s", text) : NULL;
}

static bool
s_is_known(const rmt_layout_t *layout, const rmt_layout_volume_t *volume,
           const char *path)
{
    for (size_t i = 0; i < layout->swap_count; i++)
        if (rmt_layout_volume_of(layout, &layout->swaps[i]) == volume &&
            strcmp(layout->swaps[i].path, path) == 0)
            return true;
    return false;
}

// Add the swap file at a path of the system. Returns what is wrong with it, or NULL.
static const char *
s_add(rmt_source_disk_t *disk, const char *path)
{
    place_t place = {.path = NULL};
    struct stat status;
    rmt_auto(rmt_record) format = NULL;
    if (!s_find_mount(disk, path, &place))
        return "lies on no volume of the image";
    s_enter_subvolumes(disk, &place);
    rmt_layout_t *layout = rmt_source_disk_layout(disk);
    const rmt_layout_volume_t *volume = rmt_source_disk_volume(disk, place.tree);
    if (s_is_known(layout, volume, place.path))
        return NULL;
    const char *wrong =
        s_look(rmt_source_disk_tree(disk, place.tree), place.path, &format, &status);
    if (wrong)
        return wrong;
    rmt_layout_swap_t *swap =
        rmt_layout_add_swap(layout, (size_t) (volume - layout->volumes));
    swap->path = rmt_text("%s", place.path);
    swap->bytes = (uint64_t) status.st_size;
    swap->mode = status.st_mode & 07777;
    swap->uuid = s_field(format, "uuid");
    swap->label = s_field(format, "label");
    return NULL;
}

static int
s_add_fstab(rmt_source_disk_t *disk, const rmt_fstab_t *fstab, rmt_error_t *error)
{
    const rmt_mount_table_t *table = rmt_fstab_table(fstab);
    for (size_t i = 0; i < rmt_mount_table_count(table); i++) {
        const rmt_mount_line_t *line = rmt_mount_table_at(table, i);
        if (strcmp(line->type, "swap") != 0 || *line->tag || line->value[0] != '/' ||
            strncmp(line->value, "/dev/", 5) == 0)
            continue;
        const char *wrong = s_add(disk, line->value);
        if (wrong && !rmt_mount_option(line, "nofail", NULL, NULL) &&
            !rmt_mount_option(line, "noauto", NULL, NULL))
            return rmt_fail(error, RMT_E_UNSUPPORTED,
                            "line %zu of /etc/fstab swaps to %.200s, and that %s; make "
                            "it a swap file by mkswap, write nofail in the line, or put "
                            "# before it",
                            line->number, line->value, wrong);
    }
    return 0;
}

// A unit names its file by What=.
static void
s_add_unit(rmt_source_disk_t *disk, int root, const char *name)
{
    rmt_error_t none = {0};
    rmt_auto_str text = NULL;
    rmt_auto_str path = rmt_text(UNITS "/%s", name);
    const size_t size = strlen(name);
    if (size < 5 || strcmp(name + size - 5, ".swap") != 0 ||
        rmt_rooted_load(root, path, &text, NULL, &none) == -1 || !text)
        return;
    char *rest = text, *line;
    while ((line = strsep(&rest, "\r\n"))) {
        line += strspn(line, " \t");
        const size_t key = strcspn(line, " \t=");
        const char *value = line + key + strspn(line + key, " \t=");
        if (key == 4 && strncmp(line, "What", 4) == 0 && value[0] == '/' &&
            strncmp(value, "/dev/", 5) != 0)
            (void) s_add(disk, value);
    }
}

// A kernel that is told where the source's file begins would wake from other blocks.
static void
s_tell_resume(rmt_source_disk_t *disk)
{
    static const char *const files[] = {
        "/boot/grub/grub.cfg",
        "/boot/grub2/grub.cfg",
        "/etc/default/grub",
        "/etc/kernel/cmdline",
        "/etc/default/grub.d/resume.cfg",
        "/etc/initramfs-tools/conf.d/resume",
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        place_t place = {.path = NULL};
        rmt_error_t none = {0};
        rmt_auto_str text = NULL;
        if (s_find_mount(disk, files[i], &place) &&
            rmt_rooted_load(rmt_source_disk_tree(disk, place.tree), place.path, &text,
                            NULL, &none) == 0 &&
            text && strstr(text, "resume_offset="))
            rmt_source_disk_drop(disk, files[i],
                                 "resume_offset= counts blocks of the source's swap "
                                 "file: a copy cannot hibernate until it is set again");
    }
}

int
rmt_swap_files_find(rmt_source_disk_t *disk, const rmt_fstab_t *fstab, rmt_error_t *error)
{
    // As distributions and their tools name them.
    static const char *const usual[] = {"/swapfile", "/swap.img", "/var/swap"};
    const int root = rmt_source_disk_root(disk);
    if (fstab && s_add_fstab(disk, fstab, error) == -1)
        return -1;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        (void) s_add(disk, usual[i]);
    s_tell_resume(disk);
    if (root == -1)
        return 0;
    rmt_auto_str names = rmt_rooted_list(root, UNITS);
    for (const char *name = names; *name; name += strlen(name) + 1)
        s_add_unit(disk, root, name);
    return 0;
}

uint64_t
rmt_swap_files_bytes(const rmt_layout_t *layout, const rmt_layout_volume_t *volume)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < layout->swap_count; i++)
        if (rmt_layout_volume_of(layout, &layout->swaps[i]) == volume)
            bytes += layout->swaps[i].bytes;
    return bytes;
}
