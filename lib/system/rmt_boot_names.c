#include "system/rmt_boot_names.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_action.h"
#include "system/rmt_lines.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ID_SIZE 32
#define DEPTH_MAX 4 // Of folders below that of an id
#define TOKEN "/etc/kernel/entry-token"
#define WHAT "boot-entry"
#define LOADERS "/boot/efi/EFI" // A folder of each vendor, also with GRUB's menu

// GRUB's environment block has this size, and this line first; the rest is '#'.
#define GRUBENV_SIZE 1024
#define GRUBENV_HEAD "# GRUB Environment Block\n"

typedef struct {
    int root_fd;
    rmt_records_t *actions;
    char old_id[ID_SIZE + 1], new_id[ID_SIZE + 1]; // "" for an id that does not change
    bool is_kept;                                  // Names by the id stay
} plan_t;

// Where the boot loaders of a system look; each is a file system, or a folder of one.
static const char *const s_folders[] = {"/boot", "/efi", "/boot/efi"};

// ---- Ids

static void
s_take_id(const char *text, char id_out[ID_SIZE + 1])
{
    size_t size = 0;
    while (text && size < ID_SIZE && isxdigit((unsigned char) text[size]))
        size++;
    snprintf(id_out, ID_SIZE + 1, "%.*s", size == ID_SIZE ? ID_SIZE : 0,
             text ? text : "");
}

// The text with the copy's id in place of the source's, which has its size; NULL where
// it has none. Caller owns it.
static char *
s_renamed(const plan_t *self, const char *text, size_t size)
{
    char *made = NULL;
    const char *at = text;
    while (*self->old_id &&
           (at = memmem(at, size - (size_t) (at - text), self->old_id, ID_SIZE))) {
        if (!made) {
            made = malloc(size + 1);
            if (!made)
                abort();
            memcpy(made, text, size);
            made[size] = '\0';
        }
        memcpy(made + (at - text), self->new_id, ID_SIZE);
        at += ID_SIZE;
    }
    return made;
}

static int
s_read_ids(plan_t *self, rmt_error_t *error)
{
    rmt_auto_str old = NULL;
    const rmt_record_t *action =
        rmt_records_find(self->actions, "path", "/etc/machine-id");
    if (rmt_rooted_load(self->root_fd, "/etc/machine-id", &old, NULL, error) == -1)
        return -1;
    s_take_id(old, self->old_id);
    s_take_id(action ? rmt_record_text(action, "content", "") : "", self->new_id);
    if (!*self->new_id)
        *self->old_id = '\0';
    return 0;
}

// ---- Settings that name entries

static int
s_edit(plan_t *self, const char *path, rmt_error_t *error)
{
    size_t size = 0;
    rmt_auto_str text = NULL;
    if (rmt_rooted_load(self->root_fd, path, &text, &size, error) == -1)
        return -1;
    rmt_auto_str made = text ? s_renamed(self, text, size) : NULL;
    return made ? rmt_action_edit(self->root_fd, self->actions, path, WHAT, made, size,
                                  error)
                : 0;
}

static int
s_edit_all(plan_t *self, const char *folder, const char *pattern, rmt_error_t *error)
{
    rmt_auto_str names = rmt_rooted_list(self->root_fd, folder);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str path = rmt_text("%s/%s", folder, name);
        rmt_auto_str real = rmt_rooted_real(self->root_fd, path);
        if (fnmatch(pattern, name, FNM_PERIOD) == 0 && real &&
            rmt_rooted_kind(self->root_fd, real) == S_IFREG &&
            !rmt_records_find(self->actions, "path", real) &&
            s_edit(self, real, error) == -1)
            return -1;
    }
    return 0;
}

static int
s_edit_settings(plan_t *self, rmt_error_t *error)
{
    static const struct {
        const char *folder, *pattern;
    } rows[] = {
        {"/boot/loader", "loader.conf"},
        {"/efi/loader", "loader.conf"},
        {"/boot/efi/loader", "loader.conf"},
        {"/boot/grub", "*.cfg"},
        {"/boot/grub2", "*.cfg"},
        {"/boot/grub", "menu.lst"},
        {"/boot/extlinux", "*.conf"},
        {"/boot/syslinux", "*.cfg"},
        {"/boot", "refind_linux.conf"},
        {"/etc/kernel", "cmdline"},
        {"/etc/kernel", "entry-token"},
        {"/etc/default", "grub"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (s_edit_all(self, rows[i].folder, rows[i].pattern, error) == -1)
            return -1;
    rmt_auto_str vendors = rmt_rooted_list(self->root_fd, LOADERS);
    for (const char *name = vendors; *name; name += strlen(name) + 1) {
        rmt_auto_str folder = rmt_text(LOADERS "/%s", name);
        if (s_edit_all(self, folder, "*.cfg", error) == -1)
            return -1;
    }
    return 0;
}

// ---- What is named by the id

static void
s_move(plan_t *self, const char *path)
{
    rmt_auto_str other = s_renamed(self, path, strlen(path));
    rmt_action_move(self->actions, other, WHAT, path);
}

// An entry has names in it as well.
static int
s_move_entry(plan_t *self, const char *path, rmt_error_t *error)
{
    size_t size = 0;
    rmt_auto_str text = NULL;
    if (rmt_rooted_load(self->root_fd, path, &text, &size, error) == -1)
        return -1;
    rmt_auto_str made = text ? s_renamed(self, text, size) : NULL;
    rmt_auto_str other = s_renamed(self, path, strlen(path));
    if (made && rmt_action_edit(self->root_fd, self->actions, path, WHAT, made, size,
                                error) == -1)
        return -1;
    if (other)
        s_move(self, path);
    return 0;
}

// All files of a folder, and then the folder, which is empty.
static void
s_move_folder(plan_t *self, const char *folder, unsigned depth)
{
    rmt_auto_str names = rmt_rooted_list(self->root_fd, folder);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str path = rmt_text("%s/%s", folder, name);
        if (rmt_rooted_kind(self->root_fd, path) != S_IFDIR)
            s_move(self, path);
        else if (depth)
            s_move_folder(self, path, depth - 1);
    }
    rmt_action_remove_folder(self->actions, folder, WHAT);
}

static int
s_move_all(plan_t *self, const char *boot, rmt_error_t *error)
{
    rmt_auto_str entries = rmt_text("%s/loader/entries", boot);
    rmt_auto_str names = rmt_rooted_list(self->root_fd, entries);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str path = rmt_text("%s/%s", entries, name);
        if (rmt_rooted_kind(self->root_fd, path) == S_IFREG &&
            s_move_entry(self, path, error) == -1)
            return -1;
    }
    rmt_auto_str kernels = rmt_rooted_list(self->root_fd, boot);
    for (const char *name = kernels; *name; name += strlen(name) + 1) {
        rmt_auto_str path = rmt_text("%s/%s", boot, name);
        const mode_t kind = rmt_rooted_kind(self->root_fd, path);
        if (kind == S_IFREG && strstr(name, self->old_id))
            s_move(self, path);
        else if (kind == S_IFDIR && strcmp(name, self->old_id) == 0)
            s_move_folder(self, path, DEPTH_MAX);
    }
    return 0;
}

static bool
s_has_unified(const plan_t *self, const char *boot)
{
    rmt_auto_str folder = rmt_text("%s/EFI/Linux", boot);
    rmt_auto_str names = rmt_rooted_list(self->root_fd, folder);
    for (const char *name = names; *name; name += strlen(name) + 1)
        if (strstr(name, self->old_id))
            return true;
    return false;
}

static int
s_plan_names(plan_t *self, rmt_error_t *error)
{
    rmt_auto_str token = NULL;
    if (rmt_rooted_load(self->root_fd, TOKEN, &token, NULL, error) == -1)
        return -1;
    for (size_t i = 0; i < sizeof s_folders / sizeof *s_folders; i++)
        self->is_kept = self->is_kept || s_has_unified(self, s_folders[i]);
    if (self->is_kept) {
        rmt_auto_str line = rmt_text("%s\n", self->old_id);
        if (!token)
            rmt_action_write(self->actions, TOKEN, WHAT, 0644, line, strlen(line));
        return 0;
    }
    for (size_t i = 0; i < sizeof s_folders / sizeof *s_folders; i++) {
        rmt_auto_str real = rmt_rooted_real(self->root_fd, s_folders[i]);
        if (real && strcmp(real, s_folders[i]) == 0 &&
            s_move_all(self, real, error) == -1)
            return -1;
    }
    return s_edit_settings(self, error);
}

// ---- GRUB's environment

// Names that tell of single starts. Others are settings, such as the default entry, or
// options of the kernel without which there is no root.
static bool
s_is_of_a_start(const char *line)
{
    static const char *const names[] = {
        "next_entry",   "prev_saved_entry",   "recordfail", "boot_success",
        "boot_counter", "boot_indeterminate", "initrdfail", "prev_entry"};
    const size_t size = strcspn(line, "=");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == size && strncmp(line, names[i], size) == 0)
            return true;
    return false;
}

// What the source's last starts left in the block (a failed one, the next entry) is not
// the copy's; a system without it has no use for one. A damaged block has no head, and
// nothing in it counts.
static int
s_plan_grubenv(plan_t *self, const char *path, rmt_error_t *error)
{
    char block[GRUBENV_SIZE];
    size_t size = 0, used = sizeof GRUBENV_HEAD - 1;
    rmt_auto_str real = rmt_rooted_real(self->root_fd, path);
    rmt_auto_str text = NULL;
    if (!real || rmt_records_find(self->actions, "path", real))
        return 0;
    if (rmt_rooted_load(self->root_fd, real, &text, &size, error) == -1)
        return -1;
    if (!text)
        return 0;
    memset(block, '#', sizeof block);
    memcpy(block, GRUBENV_HEAD, used);
    char *rest =
        size == GRUBENV_SIZE && strncmp(text, block, used) == 0 ? text + used : NULL;
    for (char *line = strsep(&rest, "\n"); rest; line = strsep(&rest, "\n")) {
        const size_t length = strlen(line);
        if (s_is_of_a_start(line))
            continue;
        memcpy(block + used, line, length);
        block[used + length] = '\n';
        used += length + 1;
    }
    rmt_auto_str named = self->is_kept ? NULL : s_renamed(self, block, sizeof block);
    return rmt_action_edit(self->root_fd, self->actions, real, "boot-environment",
                           named ? named : block, sizeof block, error);
}

static int
s_plan_environments(plan_t *self, rmt_error_t *error)
{
    rmt_auto_str names = rmt_rooted_list(self->root_fd, LOADERS);
    if (s_plan_grubenv(self, "/boot/grub/grubenv", error) == -1 ||
        s_plan_grubenv(self, "/boot/grub2/grubenv", error) == -1)
        return -1;
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str path = rmt_text(LOADERS "/%s/grubenv", name);
        if (s_plan_grubenv(self, path, error) == -1)
            return -1;
    }
    return 0;
}

int
rmt_boot_names_plan(int root_fd, rmt_records_t *actions, rmt_error_t *error)
{
    plan_t self = {.root_fd = root_fd, .actions = actions};
    if (s_read_ids(&self, error) == -1)
        return -1;
    if (*self.old_id && s_plan_names(&self, error) == -1)
        return -1;
    return s_plan_environments(&self, error);
}
