#include "kernel/rmt_kernel.h"
#include "base/rmt_auto.h"
#include "kernel/rmt_boot_entry.h"
#include "kernel/rmt_initramfs.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const rmt_kernel_tree_t *trees;
    size_t count;
    rmt_kernel_file_fn *file;
    void *context;
} kernel_t;

// ---- Paths of the whole system

// The tree in which a path lies, and its rest there.
static int
s_tree(const kernel_t *self, const char *path, const char **rest_out)
{
    int fd = -1;
    size_t best = 0;
    for (size_t i = 0; i < self->count; i++) {
        const char *mount = self->trees[i].mount;
        if (!mount)
            continue;
        const size_t size = strcmp(mount, "/") == 0 ? 0 : strlen(mount);
        if (strncmp(path, mount, size) != 0 || path[size] != '/' ||
            (fd != -1 && size < best))
            continue;
        fd = self->trees[i].fd;
        best = size;
        *rest_out = path + size;
    }
    return fd;
}

static int
s_load(const kernel_t *self, const char *path, char **data_out, size_t *size_out,
       rmt_error_t *error)
{
    const char *rest;
    const int fd = s_tree(self, path, &rest);
    *data_out = NULL;
    return fd == -1 ? 0 : rmt_rooted_load(fd, rest, data_out, size_out, error);
}

static bool
s_exists(const kernel_t *self, const char *path)
{
    const char *rest;
    const int fd = s_tree(self, path, &rest);
    return fd != -1 && rmt_rooted_exists(fd, rest);
}

static char *
s_list(const kernel_t *self, const char *path)
{
    const char *rest = "";
    const int fd = s_tree(self, path, &rest);
    return fd == -1 ? rmt_text("%s", "") : rmt_rooted_list(fd, rest);
}

// The first of some paths with the version in it that is there, or NULL.
static char *
s_find(const kernel_t *self, const char *const *before, const char *version,
       const char *const *behind)
{
    for (size_t i = 0; before[i]; i++) {
        char *path = rmt_text("%s%s%s", before[i], version, behind[i]);
        if (s_exists(self, path))
            return path;
        free(path);
    }
    return NULL;
}

static char *
s_find_image(const kernel_t *self, const char *version)
{
    static const char *const before[] = {"/boot/vmlinuz-", "/boot/vmlinux-",
                                         "/boot/kernel-",  "/boot/Image-",
                                         "/lib/modules/",  NULL};
    static const char *const behind[] = {"", "", "", "", "/vmlinuz"};
    return s_find(self, before, version, behind);
}

static char *
s_find_initramfs(const kernel_t *self, const char *version)
{
    static const char *const before[] = {"/boot/initrd.img-", "/boot/initramfs-",
                                         "/boot/initrd-",     "/boot/initramfs-",
                                         "/boot/initrd-",     NULL};
    static const char *const behind[] = {"", ".img", "", "", ".img"};
    static const char *const only[] = {"/boot/initrd.img", "/boot/initramfs-linux.img",
                                       "/boot/initramfs", "/initrd.img", NULL};
    char *path = s_find(self, before, version, behind);
    // Systems with one kernel may leave its version out.
    for (size_t i = 0; !path && only[i]; i++)
        path = s_exists(self, only[i]) ? rmt_text("%s", only[i]) : NULL;
    return path;
}

// ---- Which kernel

static char *
s_linked(const kernel_t *self)
{
    static const char *const links[] = {"/vmlinuz", "/boot/vmlinuz"};
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        const char *rest;
        const int fd = s_tree(self, links[i], &rest);
        rmt_auto_str target = fd == -1 ? NULL : rmt_rooted_readlink(fd, rest);
        const char *name = target ? strstr(target, "vmlinuz-") : NULL;
        if (name)
            return rmt_text("%s", name + strlen("vmlinuz-"));
    }
    return NULL;
}

static char *
s_folder(const kernel_t *self, const char *version)
{
    static const char *const folders[] = {"/lib/modules", "/usr/lib/modules"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char *folder = rmt_text("%s/%s", folders[i], version);
        rmt_auto_str list = rmt_text("%s/modules.dep", folder);
        if (s_exists(self, list))
            return folder;
        free(folder);
    }
    return NULL;
}

static char *
s_choose(const kernel_t *self)
{
    char *linked = s_linked(self);
    rmt_auto_str linked_folder = linked ? s_folder(self, linked) : NULL;
    if (linked_folder)
        return linked;
    free(linked);
    char *best = NULL;
    bool best_has_image = false;
    rmt_auto_str usual = s_list(self, "/lib/modules");
    rmt_auto_str other = s_list(self, "/usr/lib/modules");
    const char *names = *usual ? usual : other;
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str folder = s_folder(self, name);
        rmt_auto_str image = folder ? s_find_image(self, name) : NULL;
        if (!folder || (best_has_image && !image) ||
            (best && best_has_image == (image != NULL) && strverscmp(name, best) < 0))
            continue;
        free(best);
        best = rmt_text("%s", name);
        best_has_image = image != NULL;
    }
    return best;
}

// ---- Its files

static int
s_give_lists(const kernel_t *self, const char *folder, rmt_error_t *error)
{
    static const char *const names[] = {"modules.alias.bin", "modules.builtin.alias.bin",
                                        "modules.builtin", "modules.dep"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        rmt_auto_str path = rmt_text("%s/%s", folder, names[i]);
        size_t size = 0;
        rmt_auto_str data = NULL;
        if (s_load(self, path, &data, &size, error) == -1 ||
            (data && size &&
             self->file(self->context, names[i], data, size, error) == -1))
            return -1;
    }
    return 0;
}

// Lines that keep a driver from being found, or make it be.
static void
s_add_settings(FILE *out, char *text)
{
    static const char *const words[] = {"blacklist", "alias", "install"};
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        line += strspn(line, " \t");
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            const size_t size = strlen(words[i]);
            if (strncmp(line, words[i], size) == 0 && strchr(" \t", line[size]))
                fprintf(out, "%s\n", line);
        }
    }
}

// A file hides those of its name in the folders behind.
static bool
s_is_hidden(const kernel_t *self, const char *const *folders, size_t at, const char *name)
{
    for (size_t i = 0; i < at; i++) {
        rmt_auto_str path = rmt_text("%s/%s", folders[i], name);
        if (s_exists(self, path))
            return true;
    }
    return false;
}

static int
s_print_settings(const kernel_t *self, FILE *out, rmt_error_t *error)
{
    static const char *const folders[] = {"/etc/modprobe.d", "/usr/local/lib/modprobe.d",
                                          "/usr/lib/modprobe.d", "/lib/modprobe.d"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        rmt_auto_str names = s_list(self, folders[i]);
        for (const char *name = names; *name; name += strlen(name) + 1) {
            const char *dot = strrchr(name, '.');
            rmt_auto_str path = rmt_text("%s/%s", folders[i], name);
            rmt_auto_str file = NULL;
            if (!dot || strcmp(dot, ".conf") != 0 || s_is_hidden(self, folders, i, name))
                continue;
            if (s_load(self, path, &file, NULL, error) == -1)
                return -1;
            if (file)
                s_add_settings(out, file);
        }
    }
    return 0;
}

static int
s_give_settings(const kernel_t *self, rmt_error_t *error)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    int rc = s_print_settings(self, out, error);
    if (fclose(out))
        abort();
    if (rc == 0 && size)
        rc = self->file(self->context, "modprobe.conf", text, size, error);
    free(text);
    return rc;
}

// Which file of which tree is the initramfs, and what of it.
typedef struct {
    int tree; // -1: there is none
    char *path;
    uint64_t at, size;
    rmt_initramfs_memory_t *memory;
} place_t;

// Take the place that a boot entry names. Where there is no image yet, its kernel is told
// too.
static void
s_take_entry(const rmt_kernel_tree_t *tree, const rmt_boot_entry_t *entry, place_t *place,
             rmt_record_t *kernel)
{
    const char *mount = tree->mount && strcmp(tree->mount, "/") != 0 ? tree->mount : "";
    if (!rmt_record_has(kernel, "image"))
        rmt_record_setf(kernel, "image", "%s%s%s", mount,
                        entry->image[0] == '/' ? "" : "/", entry->image);
    if (!entry->initramfs)
        return;
    *place = (place_t){tree->fd, rmt_text("%s", entry->initramfs), entry->initramfs_at,
                       entry->initramfs_size, tree->memory};
    rmt_record_setf(kernel, "initramfs", "%s%s%s", mount,
                    entry->initramfs[0] == '/' ? "" : "/", entry->initramfs);
}

static rmt_initramfs_memory_t *
s_memory(const kernel_t *self, int tree)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->trees[i].fd == tree)
            return self->trees[i].memory;
    return NULL;
}

static int
s_find_place(const kernel_t *self, const char *version, place_t *place,
             rmt_record_t *kernel, rmt_error_t *error)
{
    rmt_auto_str usual = s_find_initramfs(self, version);
    if (usual) {
        const char *rest;
        place->tree = s_tree(self, usual, &rest);
        place->memory = s_memory(self, place->tree);
        place->path = rmt_text("%s", rest);
        place->size = UINT64_MAX;
        rmt_record_set(kernel, "initramfs", usual);
    }
    for (size_t i = 0; i < self->count && place->tree == -1; i++) {
        rmt_boot_entry_t entry = {0};
        const int rc = rmt_boot_entry_find(self->trees[i].fd, version, &entry, error);
        if (rc == -1)
            return -1;
        if (rc)
            s_take_entry(&self->trees[i], &entry, place, kernel);
        rmt_boot_entry_clear(&entry);
    }
    return 0;
}

static int
s_read_initramfs(const place_t *place, const char *version, char **names_out,
                 rmt_error_t *error)
{
    rmt_auto_fd fd = -1;
    if (rmt_rooted_open(place->tree, place->path, &fd, error) == -1)
        return -1;
    if (fd == -1)
        return rmt_fail(error, RMT_E_UNSUPPORTED, "it is not a regular file");
    if (lseek(fd, (off_t) place->at, SEEK_SET) == -1)
        return rmt_fail_errno(error, "read");
    return rmt_initramfs_modules(place->memory, fd, place->size, version, names_out,
                                 error);
}

// An initramfs that ramet cannot read is told as such and does not stop the capture.
static int
s_give_initramfs(const kernel_t *self, const char *version, rmt_record_t *kernel,
                 rmt_error_t *error)
{
    place_t place = {.tree = -1};
    rmt_auto_str names = NULL;
    rmt_error_t why = {0};
    rmt_record_set(kernel, "initramfs-state", "none");
    const int rc = s_find_place(self, version, &place, kernel, error);
    if (rc == 0 && place.tree != -1) {
        const bool is_read = s_read_initramfs(&place, version, &names, &why) == 0;
        rmt_record_set(kernel, "initramfs-state", is_read ? "read" : "unknown");
        if (!is_read)
            rmt_record_set(kernel, "reason", why.text);
    }
    free(place.path);
    return rc == 0 && names && *names
               ? self->file(self->context, "initramfs", names, strlen(names), error)
               : rc;
}

static int
s_read(const kernel_t *self, rmt_record_t **kernel_out, rmt_error_t *error)
{
    rmt_auto_str version = s_choose(self);
    if (!version)
        return 0;
    rmt_auto_str folder = s_folder(self, version);
    rmt_auto_str image = s_find_image(self, version);
    rmt_auto(rmt_record) kernel = rmt_record_new();
    rmt_record_set(kernel, "class", "kernel");
    rmt_record_set(kernel, "version", version);
    if (image)
        rmt_record_set(kernel, "image", image);
    if (s_give_lists(self, folder, error) == -1 || s_give_settings(self, error) == -1 ||
        s_give_initramfs(self, version, kernel, error) == -1)
        return -1;
    *kernel_out = rmt_take(&kernel);
    return 0;
}

int
rmt_kernel_read(const rmt_kernel_tree_t *trees, size_t count, rmt_kernel_file_fn *file,
                void *context, rmt_record_t **kernel_out, rmt_error_t *error)
{
    assert(trees || !count);
    assert(file);
    assert(kernel_out);
    const kernel_t self = {trees, count, file, context};
    *kernel_out = NULL;
    // Of several kernels the one must not count that is left when a look fails (M12).
    rmt_rooted_begin();
    const int rc = rmt_rooted_end(s_read(&self, kernel_out, error), error);
    if (rc == -1)
        rmt_record_destroy(kernel_out);
    return rc;
}
