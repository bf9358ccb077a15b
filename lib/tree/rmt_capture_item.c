#include "tree/rmt_capture_item.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#define EMPTY_SUBVOLUME_INODE 2 // BTRFS_EMPTY_SUBVOL_DIR_OBJECTID of the kernel

static void
s_close(rmt_capture_item_t *self)
{
    if (self->fd != -1)
        close(self->fd);
    self->fd = -1;
}

static void
s_unreadable(rmt_capture_item_t *self, rmt_code_t why, const char *reason)
{
    self->is_unreadable = true;
    self->why = why;
    snprintf(self->reason, sizeof self->reason, "%.150s", reason);
    s_close(self);
}

// In a snapshot of a btrfs the place of a subvolume is a folder that the kernel makes
// up at each look, with the time of that.
static bool
s_is_made_up(const rmt_walk_item_t *found)
{
    struct statfs system;
    return found->parent && found->dir && found->status.st_ino == EMPTY_SUBVOLUME_INODE &&
           fstatfs(rmt_dir_fd(found->dir), &system) == 0 &&
           system.f_type == BTRFS_SUPER_MAGIC;
}

rmt_capture_item_t *
rmt_capture_item_new(const rmt_walk_item_t *found)
{
    rmt_capture_item_t *self = calloc(1, sizeof *self + found->path_size + 1);
    assert(self);
    memcpy(self->path, found->path, found->path_size);
    self->name_at = found->name ? (size_t) (found->name - found->path) : 0;
    self->parent = found->parent ? rmt_dir_ref(found->parent) : NULL;
    self->dir = found->dir ? rmt_dir_ref(found->dir) : NULL;
    self->status = found->status;
    if (s_is_made_up(found))
        self->status.st_mtim = (struct timespec){0};
    self->is_mount = found->is_mount;
    self->fd = -1;
    self->entry.path = self->path;
    self->entry.path_size = found->path_size;
    rmt_meta_from_status(&self->entry, &self->status);
    if (found->failed)
        s_unreadable(self, rmt_code_of_errno(found->failed), strerror(found->failed));
    return self;
}

void
rmt_capture_item_destroy(rmt_capture_item_t **self_p)
{
    rmt_capture_item_t *self = *self_p;
    if (!self)
        return;
    s_close(self);
    rmt_dir_destroy(&self->parent);
    rmt_dir_destroy(&self->dir);
    rmt_meta_destroy(&self->meta);
    rmt_extents_free(&self->runs);
    rmt_extents_free(&self->reserved);
    free(self->chunks);
    free(self->chunk_sizes);
    free(self->cached);
    free(self);
    *self_p = NULL;
}

void
rmt_capture_item_set_cached(rmt_capture_item_t *self, const void *entry, size_t size)
{
    free(self->cached);
    self->cached = NULL;
    self->cached_size = size;
    if (!entry)
        return;
    self->cached = malloc(size);
    assert(self->cached);
    memcpy(self->cached, entry, size);
}

bool
rmt_capture_item_has_contents(const rmt_capture_item_t *self)
{
    return S_ISREG(self->status.st_mode) && !self->is_mount && !self->is_unreadable &&
           !self->cached && (!self->link || self->is_first);
}

// ---- Attributes

// Everything but the contents, from the open inode. False when that failed.
static bool
s_read_attributes(rmt_capture_item_t *self, int fd)
{
    rmt_error_t error = {0};
    if (!self->meta)
        self->meta = rmt_meta_new();
    rmt_entry_t *entry = &self->entry;
    *entry = (rmt_entry_t){.path = entry->path, .path_size = entry->path_size};
    rmt_meta_from_status(entry, &self->status);
    if (rmt_meta_read(self->meta, fd, entry, &error) == 0)
        return true;
    s_unreadable(self, error.code, error.text);
    return false;
}

static void
s_read_runs(rmt_capture_item_t *self)
{
    rmt_error_t error = {0};
    if (rmt_extents_read(&self->runs, &self->reserved, self->fd, &self->status, &error) ==
        -1)
        s_unreadable(self, error.code, error.text);
    self->data_size = rmt_extents_size(&self->runs);
    self->reader = (rmt_runs_t){.items = self->runs.items, .count = self->runs.count};
}

// Another inode has taken the name of one with several names: it is no member of that
// group, whose next name will carry the contents.
static void
s_leave_group(rmt_capture_item_t *self)
{
    struct stat status;
    if (!self->link || fstat(self->fd, &status) == -1)
        return;
    if (status.st_dev == self->status.st_dev && status.st_ino == self->status.st_ino)
        return;
    self->link = NULL;
    self->is_first = false;
    // It may be the same inode as one whose names were seen before.
    self->is_fuzzy = status.st_nlink > 1;
}

// A kernel without the driver, or without the key, opens no file that is sealed or
// encrypted, but tells that it is.
static const char *
s_why(const rmt_capture_item_t *self, int failure)
{
    struct statx status;
    if (statx(rmt_dir_fd(self->parent), self->path + self->name_at, AT_SYMLINK_NOFOLLOW,
              STATX_TYPE, &status) == -1)
        return strerror(failure);
    if (status.stx_attributes & STATX_ATTR_VERITY)
        return "is sealed by the file system (fs-verity)";
    if (status.stx_attributes & STATX_ATTR_ENCRYPTED)
        return "is encrypted by the file system (fscrypt)";
    return strerror(failure);
}

static void
s_open_contents(rmt_capture_item_t *self)
{
    self->fd =
        rmt_walk_open(rmt_dir_fd(self->parent), self->path + self->name_at, O_RDONLY);
    if (self->fd == -1) {
        if (errno == ENOENT)
            self->is_vanished = true;
        else
            s_unreadable(self, rmt_code_of_errno(errno), s_why(self, errno));
        return;
    }
    s_leave_group(self);
    rmt_stable_read_begin(&self->steady, self->fd, &self->status);
    if (s_read_attributes(self, self->fd))
        s_read_runs(self);
}

// What is not opened: symlinks, FIFOs, devices, files that are mount points.
static void
s_look_at(rmt_capture_item_t *self)
{
    rmt_auto_fd fd =
        rmt_walk_open(rmt_dir_fd(self->parent), self->path + self->name_at, O_PATH);
    struct stat status;
    if (fd == -1 || fstat(fd, &status) == -1) {
        if (errno == ENOENT)
            self->is_vanished = true;
        else
            s_unreadable(self, rmt_code_of_errno(errno), strerror(errno));
        return;
    }
    const bool same_type = (status.st_mode & S_IFMT) == (self->status.st_mode & S_IFMT);
    if (!same_type) {
        self->is_vanished = true; // What was seen is gone; the new thing comes next time
        return;
    }
    self->status = status;
    if (S_ISREG(status.st_mode)) {
        // The contents belong to another file system: an empty file to mount them on.
        rmt_meta_from_status(&self->entry, &status);
        self->entry.size = 0;
        return;
    }
    s_read_attributes(self, fd);
}

void
rmt_capture_item_open(rmt_capture_item_t *self)
{
    if (self->is_unreadable || self->cached || (self->link && !self->is_first))
        return;
    if (rmt_capture_item_has_contents(self))
        s_open_contents(self);
    else if (S_ISDIR(self->status.st_mode))
        s_read_attributes(self, rmt_dir_fd(self->dir));
    else
        s_look_at(self);
}

// ---- Contents

size_t
rmt_capture_item_read(rmt_capture_item_t *self, uint64_t position, void *data,
                      size_t size)
{
    rmt_error_t error = {0};
    const ssize_t done =
        rmt_runs_pread(&self->reader, self->fd, position, data, size, &error);
    if (done >= 0)
        return (size_t) done;
    s_unreadable(self, error.code, error.text);
    return 0;
}

// What was read is less than was planned: the runs, and the size, end there.
static void
s_clip(rmt_capture_item_t *self, uint64_t size)
{
    uint64_t sum = 0, end = 0;
    size_t count = 0;
    while (count < self->runs.count && sum < size) {
        rmt_extent_t *run = &self->runs.items[count++];
        if (run->size > size - sum)
            run->size = size - sum;
        sum += run->size;
        end = run->offset + run->size;
    }
    self->runs.count = count;
    self->data_size = sum;
    self->entry.size = end;
}

static void
s_pause(const rmt_capture_item_t *self)
{
    if (!self->patience_ms ||
        atomic_fetch_sub(self->patience_ms, RMT_CAPTURE_ITEM_PAUSE_MS) <
            RMT_CAPTURE_ITEM_PAUSE_MS)
        return;
    const struct timespec time = {.tv_nsec = RMT_CAPTURE_ITEM_PAUSE_MS * 1000000L};
    (void) nanosleep(&time, NULL);
}

bool
rmt_capture_item_again(rmt_capture_item_t *self, uint64_t position)
{
    struct stat status;
    if (fstat(self->fd, &status) == -1) {
        s_unreadable(self, rmt_code_of_errno(errno), strerror(errno));
        return false;
    }
    const bool is_short = position < self->data_size;
    if (!is_short && rmt_stable_read_is_one(&self->steady, &self->status, &status)) {
        s_close(self);
        return false;
    }
    if (!S_ISREG(status.st_mode)) {
        self->is_vanished = true;
        s_close(self);
        return false;
    }
    if (++self->attempts < RMT_CAPTURE_ITEM_ATTEMPTS) {
        s_pause(self);
        if (fstat(self->fd, &self->status) == -1) {
            s_unreadable(self, rmt_code_of_errno(errno), strerror(errno));
            return false;
        }
        rmt_stable_read_begin(&self->steady, self->fd, &self->status);
        if (s_read_attributes(self, self->fd))
            s_read_runs(self);
        return !self->is_unreadable;
    }
    self->is_fuzzy = true;
    if (is_short)
        s_clip(self, position);
    s_close(self);
    return false;
}

void
rmt_capture_item_add_chunk(rmt_capture_item_t *self, const rmt_chunk_t *chunk)
{
    size_t room = self->chunk_room; // Of both
    rmt_grow(&self->chunks, &room, self->chunk_count + 1);
    rmt_grow(&self->chunk_sizes, &self->chunk_room, self->chunk_count + 1);
    self->chunks[self->chunk_count] = chunk->id;
    self->chunk_sizes[self->chunk_count++] = chunk->plain_size;
}

void
rmt_capture_item_clear_chunks(rmt_capture_item_t *self)
{
    self->chunk_count = 0;
}
