#include "tree/rmt_walk.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "tree/rmt_glob.h"
#include "store/rmt_manifest.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

// Folders above the current one that stay open; those above are opened again, by
// "..", when the walk comes back to them.
#define OPEN_LEVELS 64
#define READ_SIZE ((size_t) 64 * 1024)
// More than a slash and a name have in any file system.
#define NAME_ROOM ((size_t) 4096)

struct rmt_dir {
    int fd;
    atomic_uint references;
};

// Takes fd. The result has one reference.
static rmt_dir_t *
s_dir_new(int fd)
{
    assert(fd >= 0);
    rmt_dir_t *self = malloc(sizeof *self);
    assert(self);
    self->fd = fd;
    atomic_init(&self->references, 1);
    return self;
}

rmt_dir_t *
rmt_dir_ref(rmt_dir_t *self)
{
    atomic_fetch_add(&self->references, 1);
    return self;
}

void
rmt_dir_destroy(rmt_dir_t **self_p)
{
    rmt_dir_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    if (atomic_fetch_sub(&self->references, 1) > 1)
        return;
    close(self->fd);
    free(self);
}

int
rmt_dir_fd(const rmt_dir_t *self)
{
    return self->fd;
}

int
rmt_walk_open(int dir_fd, const char *name, int flags)
{
    // O_NONBLOCK: what is a file now may be a FIFO when it is opened.
    flags |= O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    const int fd = openat(dir_fd, name, flags | O_NOATIME);
    return fd == -1 && errno == EPERM ? openat(dir_fd, name, flags) : fd;
}

int
rmt_walk_open_bare(const char *path)
{
    const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
    rmt_auto_fd clone = (int) syscall(SYS_open_tree, AT_FDCWD, path, flags);
    if (clone == -1 && errno != EPERM && errno != ENOSYS && errno != EINVAL)
        return -1;
    // The clone is gone from the name space with its first descriptor, and lives by this.
    return clone == -1 ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                       : openat(clone, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

// ---- One folder on the way

typedef struct {
    rmt_dir_t *dir; // NULL while it is shed, or could not be opened
    dev_t device;
    ino_t inode;
    char *names;   // Each is its d_type, its bytes, a NUL
    size_t *order; // Offsets of the names, sorted
    size_t count, next;
    size_t path_size;
} s_level_t;

struct rmt_walk {
    const char *const *excludes;
    void (*excluded_fn)(void *context, const char *path);
    void *excluded_context;
    s_level_t *levels;
    size_t depth, levels_room;
    char *path;
    size_t path_room;
    char *buffer;     // READ_SIZE, for getdents
    rmt_dir_t *root;  // Until the root was given
    rmt_dir_t *mount; // Of the current item, which is not entered
    rmt_walk_report_t report;
};

static int
s_compare_names(const void *a, const void *b, void *names)
{
    const char *base = names;
    // unsigned char order is what strcmp promises.
    return strcmp(base + *(const size_t *) a + 1, base + *(const size_t *) b + 1);
}

static void
s_add_name(s_level_t *level, const struct dirent64 *found, size_t *used, size_t *room,
           size_t *order_room)
{
    const size_t size = strlen(found->d_name) + 2;
    rmt_grow(&level->names, room, *used + size);
    rmt_grow(&level->order, order_room, level->count + 1);
    level->order[level->count++] = *used;
    level->names[*used] = (char) found->d_type;
    memcpy(level->names + *used + 1, found->d_name, size - 1);
    *used += size;
}

// Read and sort all names. 0, or -1 with errno; then the level has none.
static int
s_read_names(rmt_walk_t *self, s_level_t *level, int fd)
{
    size_t used = 0, room = 0, order_room = 0;
    for (;;) {
        const ssize_t size = getdents64(fd, self->buffer, READ_SIZE);
        if (size == -1) {
            level->count = 0;
            return -1;
        }
        if (size == 0)
            break;
        for (ssize_t at = 0; at < size;) {
            const struct dirent64 *found = (void *) (self->buffer + at);
            at += found->d_reclen;
            if (strcmp(found->d_name, ".") != 0 && strcmp(found->d_name, "..") != 0)
                s_add_name(level, found, &used, &room, &order_room);
        }
    }
    if (level->count > 1)
        qsort_r(level->order, level->count, sizeof *level->order, s_compare_names,
                level->names);
    return 0;
}

// Enter an open folder; takes the reference. 0, or the errno of reading it.
static int
s_push(rmt_walk_t *self, rmt_dir_t *dir, const struct stat *status, size_t path_size)
{
    rmt_grow(&self->levels, &self->levels_room, self->depth + 1);
    s_level_t *level = &self->levels[self->depth++];
    *level = (s_level_t){.dir = dir,
                         .device = status->st_dev,
                         .inode = status->st_ino,
                         .path_size = path_size};
    if (self->depth > OPEN_LEVELS)
        rmt_dir_destroy(&self->levels[self->depth - 1 - OPEN_LEVELS].dir);
    return s_read_names(self, level, rmt_dir_fd(dir)) == -1 ? errno : 0;
}

static void
s_free_level(s_level_t *level)
{
    rmt_dir_destroy(&level->dir);
    free(level->names);
    free(level->order);
}

// Leave the current folder. When the one above was shed it is opened again, if it
// still is the one above; else what is left of it has vanished for this walk.
static void
s_pop(rmt_walk_t *self)
{
    s_level_t *level = &self->levels[--self->depth];
    s_level_t *above = self->depth ? level - 1 : NULL;
    if (above && !above->dir) {
        const int fd =
            rmt_walk_open(rmt_dir_fd(level->dir), "..", O_RDONLY | O_DIRECTORY);
        struct stat status;
        if (fd != -1 && fstat(fd, &status) == 0 && status.st_dev == above->device &&
            status.st_ino == above->inode) {
            above->dir = s_dir_new(fd);
        } else {
            if (fd != -1)
                close(fd);
            self->report.vanished += above->count - above->next;
            above->next = above->count;
            // Its own way up is lost as well, so the rest is taken down here.
            while (self->depth) {
                s_level_t *lost = &self->levels[--self->depth];
                self->report.vanished += lost->count - lost->next;
                s_free_level(lost);
            }
        }
    }
    s_free_level(level);
}

rmt_walk_t *
rmt_walk_new(int root_fd, const char *const *excludes, rmt_error_t *error)
{
    const int fd = rmt_walk_open(root_fd, ".", O_RDONLY | O_DIRECTORY);
    if (fd == -1) {
        rmt_fail_errno(error, "open the root of the tree");
        return NULL;
    }
    rmt_walk_t *self = calloc(1, sizeof *self);
    assert(self);
    self->excludes = excludes;
    self->root = s_dir_new(fd);
    self->buffer = malloc(READ_SIZE);
    assert(self->buffer);
    rmt_grow(&self->path, &self->path_room, 1);
    self->path[0] = '\0'; // Of the root
    return self;
}

void
rmt_walk_destroy(rmt_walk_t **self_p)
{
    rmt_walk_t *self = *self_p;
    if (!self)
        return;
    while (self->depth)
        s_free_level(&self->levels[--self->depth]);
    rmt_dir_destroy(&self->root);
    rmt_dir_destroy(&self->mount);
    free(self->levels);
    free(self->buffer);
    free(self->path);
    free(self);
    *self_p = NULL;
}

void
rmt_walk_on_excluded(rmt_walk_t *self,
                     void (*excluded_fn)(void *context, const char *path), void *context)
{
    self->excluded_fn = excluded_fn;
    self->excluded_context = context;
}

// ---- The walk

static void
s_set_path(rmt_walk_t *self, size_t above_size, const char *name, rmt_walk_item_t *item)
{
    const size_t name_size = strlen(name), slash = above_size > 0;
    const size_t size = above_size + slash + name_size;
    assert(size <= RMT_PATH_SIZE_MAX); // s_enter sees to it
    rmt_grow(&self->path, &self->path_room, size + 1);
    if (slash)
        self->path[above_size] = '/';
    memcpy(self->path + above_size + slash, name, name_size + 1);
    item->path = self->path;
    item->path_size = size;
    item->name = self->path + above_size + slash;
}

static void
s_copy_status(struct stat *out, const struct statx *from)
{
    *out = (struct stat){0};
    out->st_dev = makedev(from->stx_dev_major, from->stx_dev_minor);
    out->st_ino = from->stx_ino;
    out->st_mode = from->stx_mode;
    out->st_nlink = from->stx_nlink;
    out->st_uid = from->stx_uid;
    out->st_gid = from->stx_gid;
    out->st_rdev = makedev(from->stx_rdev_major, from->stx_rdev_minor);
    out->st_size = (off_t) from->stx_size;
    out->st_blksize = (blksize_t) from->stx_blksize;
    out->st_blocks = (blkcnt_t) from->stx_blocks;
    out->st_mtim = (struct timespec){from->stx_mtime.tv_sec, from->stx_mtime.tv_nsec};
    out->st_ctim = (struct timespec){from->stx_ctime.tv_sec, from->stx_ctime.tv_nsec};
}

// Status of a name, and whether something is mounted there. 0, or errno.
static int
s_look(int dir_fd, dev_t device, rmt_walk_item_t *item)
{
    struct statx status;
    if (statx(dir_fd, item->name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
              STATX_BASIC_STATS, &status) == -1)
        return errno;
    s_copy_status(&item->status, &status);
    // The attribute also tells a mount of the same file system over itself. A folder of
    // another device is one, or a subvolume. A file of another device is none: those of
    // an overlay have the devices of its layers. Kernels before 5.8 lack the attribute.
    const bool is_told = status.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT;
    item->is_mount =
        status.stx_attributes & STATX_ATTR_MOUNT_ROOT ||
        (item->status.st_dev != device && (S_ISDIR(item->status.st_mode) || !is_told));
    return 0;
}

// What lies in it could not be named. It is none of the levels, so it ends with the item.
static void
s_refuse_depth(rmt_walk_t *self, rmt_walk_item_t *item)
{
    item->failed = ENAMETOOLONG;
    self->mount = item->dir;
}

// Open a folder and make it the current one.
static void
s_enter(rmt_walk_t *self, rmt_walk_item_t *item)
{
    const int fd =
        rmt_walk_open(rmt_dir_fd(item->parent), item->name, O_RDONLY | O_DIRECTORY);
    if (fd == -1) {
        item->failed = errno;
        return;
    }
    item->dir = s_dir_new(fd);
    // Between look and open another folder, or a mount, may have come here.
    struct stat status;
    if (fstat(fd, &status) == -1)
        item->failed = errno;
    else if (status.st_dev != item->status.st_dev || status.st_ino != item->status.st_ino)
        item->failed = ENOENT;
    if (item->failed) {
        rmt_dir_destroy(&item->dir);
        return;
    }
    if (item->is_mount)
        self->mount = item->dir;
    else if (item->path_size + NAME_ROOM > RMT_PATH_SIZE_MAX ||
             self->depth == RMT_PATH_DEPTH_MAX)
        s_refuse_depth(self, item);
    else
        item->failed = s_push(self, item->dir, &status, item->path_size);
}

// The next name of the current folder. 1, or 0 for one that is left out.
static int
s_visit(rmt_walk_t *self, rmt_walk_item_t *item)
{
    s_level_t *level = &self->levels[self->depth - 1];
    const char *found = level->names + level->order[level->next++];
    *item = (rmt_walk_item_t){.parent = level->dir};
    s_set_path(self, level->path_size, found + 1, item);
    if (rmt_glob_match(self->excludes, item->path)) {
        self->report.excluded++;
        if (self->excluded_fn)
            self->excluded_fn(self->excluded_context, item->path);
        return 0;
    }
    item->failed = s_look(rmt_dir_fd(level->dir), level->device, item);
    if (item->failed && item->failed != ENOENT)
        item->status.st_mode = (mode_t) DTTOIF((unsigned char) found[0]);
    if (!item->failed && S_ISDIR(item->status.st_mode))
        s_enter(self, item);
    if (item->failed == ENOENT) {
        self->report.vanished++;
        return 0;
    }
    if (S_ISSOCK(item->status.st_mode)) {
        self->report.sockets++;
        return 0;
    }
    self->report.mounts += item->is_mount;
    return 1;
}

static int
s_visit_root(rmt_walk_t *self, rmt_walk_item_t *item, rmt_error_t *error)
{
    *item = (rmt_walk_item_t){.path = self->path, .dir = self->root};
    if (fstat(rmt_dir_fd(self->root), &item->status) == -1)
        return rmt_fail_errno(error, "look at the root of the tree");
    self->root = NULL;
    item->failed = s_push(self, item->dir, &item->status, 0);
    return 1;
}

int
rmt_walk_next(rmt_walk_t *self, rmt_walk_item_t *item_out, rmt_error_t *error)
{
    rmt_dir_destroy(&self->mount);
    if (self->root)
        return s_visit_root(self, item_out, error);
    while (self->depth) {
        s_level_t *level = &self->levels[self->depth - 1];
        if (level->next == level->count) {
            s_pop(self);
            continue;
        }
        if (s_visit(self, item_out))
            return 1;
    }
    return 0;
}

const rmt_walk_report_t *
rmt_walk_report(const rmt_walk_t *self)
{
    return &self->report;
}
