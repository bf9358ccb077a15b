#include "tree/rmt_folder.h"
#include "base/rmt_auto.h"
#include "tree/rmt_beneath.h"
#include "tree/rmt_copy.h"
#include "base/rmt_log.h"
#include "tree/rmt_meta.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// What is kept of a path, for errors.
#define PATH_TEXT_MAX 255

struct rmt_folder {
    rmt_folder_t *parent;
    rmt_entry_t *entry; // With the end of its path only
    size_t path_size;
    int fd; // -1 while it is shed
    dev_t device;
    ino_t inode;
    bool is_old; // Was there before, or may have what its parent hands down
    bool hands_down;
    atomic_uint references;
};

static int
s_wrap(rmt_error_t *error, const rmt_entry_t *entry)
{
    char path[256];
    return rmt_wrap(error, "folder /%s", rmt_log_escape(path, sizeof path, entry->path));
}

// ---- What the root hands down

// True when an inode has more than mode, owner and times, or cannot be looked at.
static bool
s_has_more(int fd, mode_t type)
{
    rmt_auto(rmt_meta) meta = rmt_meta_new();
    rmt_entry_t entry = {.mode = type};
    rmt_error_t ignored = {0};
    return rmt_meta_read(meta, fd, &entry, &ignored) == -1 || entry.xattr_count ||
           entry.flags || entry.project || entry.hints;
}

// A file shows what the options of the mount give it; it has no name, and goes at once.
static bool
s_gives_files_more(int fd)
{
    rmt_auto_fd file = rmt_beneath_open(fd, ".", O_TMPFILE | O_WRONLY, 0600);
    struct stat status;
    return file == -1 || fstat(file, &status) == -1 || (status.st_mode & 07777) != 0600 ||
           status.st_uid != geteuid() || status.st_gid != getegid() ||
           s_has_more(file, S_IFREG);
}

// ---- Folders

// Takes fd.
static rmt_folder_t *
s_new(rmt_folder_t *parent, int fd, bool is_old, const rmt_entry_t *entry,
      rmt_error_t *error)
{
    struct stat status;
    if (fstat(fd, &status) == -1) {
        rmt_fail_errno(error, "look at it");
        close(fd);
        return NULL;
    }
    rmt_folder_t *self = calloc(1, sizeof *self);
    assert(self);
    self->parent = parent ? rmt_folder_ref(parent) : NULL;
    rmt_entry_t brief = *entry;
    if (brief.path_size > PATH_TEXT_MAX) {
        brief.path += brief.path_size - PATH_TEXT_MAX;
        brief.path_size = PATH_TEXT_MAX;
    }
    self->entry = rmt_copy_entry(&brief);
    self->path_size = entry->path_size;
    self->fd = fd;
    self->device = status.st_dev;
    self->inode = status.st_ino;
    self->is_old = is_old;
    self->hands_down =
        parent ? is_old : s_has_more(fd, S_IFDIR) || s_gives_files_more(fd);
    atomic_init(&self->references, 1);
    return self;
}

rmt_folder_t *
rmt_folder_new_root(int root_fd, const rmt_entry_t *entry, rmt_error_t *error)
{
    const int fd = rmt_beneath_open(root_fd, ".", O_RDONLY | O_DIRECTORY, 0);
    if (fd == -1) {
        rmt_fail_errno(error, "open the root of the tree");
        return NULL;
    }
    return s_new(NULL, fd, true, entry, error);
}

static int
s_open(const rmt_folder_t *parent, const char *name, const rmt_entry_t *entry,
       rmt_error_t *error)
{
    const int fd = rmt_beneath_open(parent->fd, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd == -1) {
        rmt_fail_errno(error, "open it");
        s_wrap(error, entry);
    }
    return fd;
}

rmt_folder_t *
rmt_folder_open(rmt_folder_t *parent, const rmt_entry_t *entry, rmt_error_t *error)
{
    const char *slash = strrchr(entry->path, '/');
    const int fd = s_open(parent, slash ? slash + 1 : entry->path, entry, error);
    return fd == -1 ? NULL : s_new(parent, fd, true, entry, error);
}

rmt_folder_t *
rmt_folder_new(rmt_folder_t *parent, const rmt_entry_t *entry, rmt_error_t *error)
{
    const char *slash = strrchr(entry->path, '/');
    const char *name = slash ? slash + 1 : entry->path;
    bool is_old = false;
    // No other user gets in before it is finished.
    if (mkdirat(parent->fd, name, 0700) == -1) {
        is_old = errno == EEXIST && strcmp(entry->path, "lost+found") == 0;
        if (!is_old) {
            rmt_fail_errno(error, "make it");
            s_wrap(error, entry);
            return NULL;
        }
    }
    const int fd = s_open(parent, name, entry, error);
    if (fd == -1)
        return NULL;
    const bool has_early =
        entry->flags & RMT_META_EARLY_FLAGS || rmt_folder_hands_down(parent);
    if (has_early && rmt_meta_apply_early(fd, entry, error) == -1) {
        s_wrap(error, entry);
        close(fd);
        return NULL;
    }
    // What the parent hands down stays on it until its own attributes are applied.
    return s_new(parent, fd, is_old || rmt_folder_hands_down(parent), entry, error);
}

rmt_folder_t *
rmt_folder_ref(rmt_folder_t *self)
{
    atomic_fetch_add(&self->references, 1);
    return self;
}

int
rmt_folder_drop(rmt_folder_t *self, bool apply, rmt_error_t *error)
{
    int result = 0;
    // A loop, not a recursion: trees may be deeper than the stack.
    while (self && atomic_fetch_sub(&self->references, 1) == 1) {
        rmt_folder_t *parent = self->parent;
        if (apply && result == 0) {
            const unsigned options = self->is_old ? RMT_META_EXACT : 0;
            result = rmt_meta_apply(self->fd, self->entry, options, error);
            if (result == -1)
                s_wrap(error, self->entry);
        }
        if (self->fd != -1)
            close(self->fd);
        free(self->entry);
        free(self);
        self = parent;
    }
    return result;
}

int
rmt_folder_fd(const rmt_folder_t *self)
{
    assert(self->fd != -1);
    return self->fd;
}

size_t
rmt_folder_path_size(const rmt_folder_t *self)
{
    return self->path_size;
}

bool
rmt_folder_hands_down(const rmt_folder_t *self)
{
    return self->hands_down || self->entry->flags & RMT_META_EARLY_FLAGS;
}

bool
rmt_folder_shed(rmt_folder_t *self)
{
    // The path's own reference and that of the folder below. Both are the writing
    // thread's, which also is the only one to add any, so no other thread can get here.
    if (atomic_load(&self->references) != 2)
        return false;
    close(self->fd);
    self->fd = -1;
    return true;
}

int
rmt_folder_reopen(rmt_folder_t *self, const rmt_folder_t *below, rmt_error_t *error)
{
    rmt_auto_fd fd = openat(below->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat status;
    if (fd == -1 || fstat(fd, &status) == -1) {
        rmt_fail_errno(error, "open it again");
        return s_wrap(error, self->entry);
    }
    if (status.st_dev != self->device || status.st_ino != self->inode) {
        rmt_fail(error, RMT_E_IO, "was moved while its files were written");
        return s_wrap(error, self->entry);
    }
    self->fd = rmt_take_fd(&fd);
    return 0;
}
