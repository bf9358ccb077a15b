#include "tree/rmt_writer.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "tree/rmt_beneath.h"
#include "tree/rmt_copy.h"
#include "tree/rmt_folder.h"
#include "tree/rmt_links.h"
#include "tree/rmt_make.h"
#include "tree/rmt_meta.h"
#include "tree/rmt_queue.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define THREADS_MAX 16
// Files of one chore, and their contents. Larger files are written by the calling thread.
#define PARCEL_FILES_MAX 64
#define PARCEL_SIZE ((size_t) 512 * 1024)
// Chores that wait; with the one that is filled they are the window.
#define PARCELS_MAX 31
// Open folders below the current one and of one chore.
#define OPEN_LEVELS 64
#define PARCEL_FOLDERS_MAX 8
// A million inodes with several names, with paths of 256 bytes.
#define LINKS_SIZE_MAX ((size_t) 256 * 1024 * 1024)

typedef struct {
    rmt_folder_t *folder;
    rmt_entry_t *entry;
    size_t start, size; // Of its contents, in the parcel's
} s_piece_t;

typedef struct {
    rmt_chore_t chore; // First, so that a chore is a parcel
    s_piece_t pieces[PARCEL_FILES_MAX];
    size_t count, folder_count;
    size_t weight; // Of the entries
    size_t used;
    uint8_t *data; // PARCEL_SIZE
} s_parcel_t;

struct rmt_writer {
    int root_fd;
    mode_t umask;
    rmt_queue_t *queue;
    pthread_t threads[THREADS_MAX];
    size_t thread_count;
    rmt_folder_t **path; // The folders on which the writer stands, root first
    size_t depth, path_room;
    char *at; // Path of the deepest folder that was entered last
    size_t at_room;
    size_t shed;          // So many behind the root have no descriptor
    rmt_links_t *links;   // By {0, group}
    size_t links_size;    // Bytes of their paths and of locked
    rmt_entry_t **locked; // First members that still lack RMT_META_LOCK_FLAGS
    size_t locked_count, locked_room;
    s_parcel_t *parcel; // Being filled
    // The file that waits for data: in the parcel, or of its own.
    rmt_entry_t *current; // Of its own; then with its descriptor and runs
    int fd;
    rmt_extent_t whole;
    rmt_runs_t runs;
    uint64_t position, wanted;
    rmt_writer_report_t report;
    bool failed;
    rmt_error_t error; // The first, when it failed
};

// ---- Parcels

static s_parcel_t *
s_parcel_new(void)
{
    s_parcel_t *self = calloc(1, sizeof *self);
    assert(self);
    self->data = malloc(PARCEL_SIZE);
    assert(self->data);
    return self;
}

static void
s_parcel_destroy(s_parcel_t **self_p)
{
    s_parcel_t *self = *self_p;
    if (!self)
        return;
    rmt_error_t error = {0};
    for (size_t i = 0; i < self->count; i++) {
        if (self->pieces[i].folder)
            rmt_folder_drop(self->pieces[i].folder, false, &error);
        free(self->pieces[i].entry);
    }
    free(self->data);
    free(self);
    *self_p = NULL;
}

static int
s_unpack(s_parcel_t *parcel, rmt_error_t *error)
{
    for (size_t i = 0; i < parcel->count; i++) {
        s_piece_t *piece = &parcel->pieces[i];
        if (rmt_make_whole(piece->folder, piece->entry, parcel->data + piece->start,
                           piece->size, error) == -1)
            return -1;
        rmt_folder_t *folder = rmt_take(&piece->folder);
        if (rmt_folder_drop(folder, true, error) == -1)
            return -1;
    }
    return 0;
}

static void *
s_work(void *argument)
{
    rmt_writer_t *self = argument;
    rmt_chore_t *chore;
    while ((chore = rmt_queue_get(self->queue))) {
        s_parcel_t *parcel = (s_parcel_t *) chore;
        rmt_error_t error = {0};
        if (s_unpack(parcel, &error) == -1)
            rmt_queue_fail(self->queue, &error);
        rmt_queue_finish(self->queue, chore);
        s_parcel_destroy(&parcel);
    }
    return NULL;
}

static int
s_send_parcel(rmt_writer_t *self, rmt_error_t *error)
{
    s_parcel_t *parcel = rmt_take(&self->parcel);
    if (!parcel || rmt_queue_put(self->queue, &parcel->chore, 0))
        return 0;
    s_parcel_destroy(&parcel);
    return rmt_queue_check(self->queue, error);
}

static int
s_add_to_parcel(rmt_writer_t *self, const rmt_entry_t *entry, size_t size,
                rmt_error_t *error)
{
    rmt_folder_t *folder = self->path[self->depth - 1];
    const size_t weight = rmt_copy_size(entry);
    s_parcel_t *parcel = self->parcel;
    const bool is_other = parcel && parcel->pieces[parcel->count - 1].folder != folder;
    if (parcel &&
        (parcel->count == PARCEL_FILES_MAX || PARCEL_SIZE - parcel->used < size ||
         parcel->weight + weight > PARCEL_SIZE ||
         parcel->folder_count + is_other > PARCEL_FOLDERS_MAX)) {
        if (s_send_parcel(self, error) == -1)
            return -1;
        parcel = NULL;
    }
    if (!parcel)
        parcel = self->parcel = s_parcel_new();
    parcel->weight += weight;
    parcel->folder_count += !parcel->count || is_other;
    parcel->pieces[parcel->count++] = (s_piece_t){
        .folder = rmt_folder_ref(folder),
        .entry = rmt_copy_entry(entry),
        .start = parcel->used,
        .size = size,
    };
    self->wanted = size;
    return 0;
}

// ---- The path

static int
s_pop(rmt_writer_t *self, bool apply, rmt_error_t *error)
{
    rmt_folder_t *folder = self->path[--self->depth];
    int result = 0;
    if (apply && self->depth > 1 && self->shed == self->depth - 1) {
        result = rmt_folder_reopen(self->path[self->depth - 1], folder, error);
        self->shed--;
    }
    if (rmt_folder_drop(folder, apply && result == 0, error) == -1)
        result = -1;
    return result;
}

static void
s_push(rmt_writer_t *self, rmt_folder_t *folder)
{
    rmt_grow(&self->path, &self->path_room, self->depth + 1);
    self->path[self->depth++] = folder;
    // Those still needed by a file on its way are tried again with the next folder.
    while (self->shed + 1 + OPEN_LEVELS < self->depth &&
           rmt_folder_shed(self->path[self->shed + 1]))
        self->shed++;
}

// Leave folders until the one that the entry is in is the last.
static int
s_go_to_parent(rmt_writer_t *self, const rmt_entry_t *entry, rmt_error_t *error)
{
    const char *slash = memrchr(entry->path, '/', entry->path_size);
    const size_t size = slash ? (size_t) (slash - entry->path) : 0;
    for (;;) {
        const size_t last = rmt_folder_path_size(self->path[self->depth - 1]);
        if (last <= size && memcmp(self->at, entry->path, last) == 0 &&
            (last == size || last == 0 || entry->path[last] == '/')) {
            if (last == size)
                return 0;
            rmt_fail(error, RMT_E_CORRUPT, "its folder is missing");
            return rmt_make_wrap(entry, error);
        }
        if (s_pop(self, true, error) == -1)
            return -1;
    }
}

static int
s_enter_folder(rmt_writer_t *self, const rmt_entry_t *entry, rmt_error_t *error)
{
    rmt_folder_t *folder = self->depth
                               ? rmt_folder_new(self->path[self->depth - 1], entry, error)
                               : rmt_folder_new_root(self->root_fd, entry, error);
    if (!folder)
        return -1;
    s_push(self, folder);
    // Folders above it have the beginnings of this path.
    rmt_grow(&self->at, &self->at_room, entry->path_size + 1);
    memcpy(self->at, entry->path, entry->path_size + 1);
    self->report.folders++;
    return 0;
}

// ---- Files of the calling thread: large ones, and those with several names

static void
s_remember_locked(rmt_writer_t *self, const rmt_entry_t *entry)
{
    rmt_grow(&self->locked, &self->locked_room, self->locked_count + 1);
    self->locked[self->locked_count++] = rmt_copy_entry(entry);
}

static int
s_remember_link(rmt_writer_t *self, const rmt_entry_t *entry, int fd, rmt_error_t *error)
{
    const bool is_locked = entry->flags & RMT_META_LOCK_FLAGS;
    self->links_size += is_locked ? rmt_copy_size(entry) : entry->path_size;
    if (self->links_size > LINKS_SIZE_MAX) {
        rmt_fail(error, RMT_E_TOO_BIG,
                 "the first entries of hard links have more than %zu bytes",
                 LINKS_SIZE_MAX);
        return rmt_make_wrap(entry, error);
    }
    if (rmt_links_find(self->links, 0, entry->link_group)) {
        rmt_fail(error, RMT_E_CORRUPT, "link group %llu begins twice",
                 (unsigned long long) entry->link_group);
        return rmt_make_wrap(entry, error);
    }
    struct stat status;
    if (fstat(fd, &status) == -1) {
        rmt_fail_errno(error, "look at it");
        return rmt_make_wrap(entry, error);
    }
    rmt_hard_link_t *link =
        rmt_links_add(self->links, 0, entry->link_group, entry->path, entry->path_size);
    link->made_device = status.st_dev;
    link->made_inode = status.st_ino;
    if (is_locked)
        s_remember_locked(self, entry);
    return 0;
}

static int
s_finish_current(rmt_writer_t *self, rmt_error_t *error)
{
    rmt_entry_t *entry = self->current;
    const rmt_folder_t *folder = self->path[self->depth - 1];
    const int result = rmt_make_finish(folder, self->fd, entry, error);
    close(self->fd);
    self->fd = -1;
    free(entry);
    self->current = NULL;
    return result;
}

static int
s_begin_current(rmt_writer_t *self, const rmt_entry_t *entry, uint64_t size,
                rmt_error_t *error)
{
    const rmt_folder_t *folder = self->path[self->depth - 1];
    self->fd = rmt_make_open(folder, entry, error);
    if (self->fd == -1)
        return -1;
    self->current = rmt_copy_entry(entry);
    self->runs = rmt_make_runs(self->current, &self->whole);
    self->position = 0;
    self->wanted = size;
    if (entry->link_group && s_remember_link(self, entry, self->fd, error) == -1)
        return -1;
    return size ? 0 : s_finish_current(self, error);
}

// A further name of an inode that this run has made.
static int
s_link(rmt_writer_t *self, const rmt_entry_t *entry, rmt_error_t *error)
{
    const rmt_hard_link_t *link = rmt_links_find(self->links, 0, entry->link_group);
    if (!link) {
        rmt_fail(error, RMT_E_CORRUPT, "link group %llu has no first member",
                 (unsigned long long) entry->link_group);
        return rmt_make_wrap(entry, error);
    }
    rmt_auto_fd fd = rmt_beneath_open(self->root_fd, link->path, O_PATH, 0);
    struct stat status;
    if (fd == -1 || fstat(fd, &status) == -1) {
        rmt_fail_errno(error, "find its first name");
        return rmt_make_wrap(entry, error);
    }
    if (status.st_dev != link->made_device || status.st_ino != link->made_inode ||
        (status.st_mode & S_IFMT) != (entry->mode & S_IFMT)) {
        rmt_fail(error, RMT_E_CORRUPT, "its first name is another inode");
        return rmt_make_wrap(entry, error);
    }
    const char *slash = strrchr(entry->path, '/');
    const char *name = slash ? slash + 1 : entry->path;
    const int folder_fd = rmt_folder_fd(self->path[self->depth - 1]);
    if (linkat(fd, "", folder_fd, name, AT_EMPTY_PATH) == -1) {
        rmt_fail_errno(error, "link");
        return rmt_make_wrap(entry, error);
    }
    self->report.hard_links++;
    return 0;
}

// ---- Entries and data

static void
s_count(rmt_writer_t *self, const rmt_entry_t *entry)
{
    if (S_ISREG(entry->mode))
        self->report.files++;
    else if (S_ISLNK(entry->mode))
        self->report.symlinks++;
    else
        self->report.others++;
    self->report.unreadable += S_ISREG(entry->mode) && entry->unreadable;
}

static int
s_entry(rmt_writer_t *self, const rmt_entry_t *entry, rmt_error_t *error)
{
    if (self->wanted)
        return rmt_fail(error, RMT_E_CORRUPT, "an entry, and %llu bytes are missing",
                        (unsigned long long) self->wanted);
    if (rmt_entry_check(entry, error) == -1)
        return -1;
    if ((entry->path_size == 0) != (self->depth == 0))
        return rmt_fail(error, RMT_E_CORRUPT, "the root is not the first entry");
    if (entry->path_size && s_go_to_parent(self, entry, error) == -1)
        return -1;
    if (S_ISDIR(entry->mode))
        return s_enter_folder(self, entry, error);
    if (entry->link_group && !entry->link_first)
        return s_link(self, entry, error);
    s_count(self, entry);
    const uint64_t size = rmt_copy_data_size(entry);
    // A file that is linked to must stand before its links come.
    if (size > PARCEL_SIZE || entry->link_group || rmt_copy_size(entry) > PARCEL_SIZE)
        return s_begin_current(self, entry, size, error);
    return s_add_to_parcel(self, entry, (size_t) size, error);
}

static int
s_data(rmt_writer_t *self, const void *plain, size_t size, rmt_error_t *error)
{
    if (size > self->wanted)
        return rmt_fail(error, RMT_E_CORRUPT, "%zu bytes of contents too many",
                        (size_t) (size - self->wanted));
    self->wanted -= size;
    self->report.size += size;
    if (!self->current) {
        memcpy(self->parcel->data + self->parcel->used, plain, size);
        self->parcel->used += size;
        return 0;
    }
    if (rmt_runs_pwrite(&self->runs, self->fd, self->position, plain, size, error) == -1)
        return rmt_make_wrap(self->current, error);
    self->position += size;
    return self->wanted ? 0 : s_finish_current(self, error);
}

// The first error is the error of every later call.
static int
s_settle(rmt_writer_t *self, int result, rmt_error_t *error)
{
    if (result == 0)
        return 0;
    if (!self->failed)
        self->error = *error;
    self->failed = true;
    *error = self->error;
    rmt_queue_fail(self->queue, error);
    return -1;
}

int
rmt_writer_entry(rmt_writer_t *self, const rmt_entry_t *entry, rmt_error_t *error)
{
    const bool failed = self->failed;
    return s_settle(self, failed ? -1 : s_entry(self, entry, error), error);
}

int
rmt_writer_data(rmt_writer_t *self, const void *plain, size_t size, rmt_error_t *error)
{
    if (size == 0 && !self->failed)
        return 0;
    return s_settle(self, self->failed ? -1 : s_data(self, plain, size, error), error);
}

static int
s_lock(rmt_writer_t *self, rmt_error_t *error)
{
    for (size_t i = 0; i < self->locked_count; i++) {
        const rmt_entry_t *entry = self->locked[i];
        rmt_auto_fd fd =
            rmt_beneath_open(self->root_fd, entry->path, O_RDONLY | O_NONBLOCK, 0);
        if (fd == -1) {
            rmt_fail_errno(error, "open");
            return rmt_make_wrap(entry, error);
        }
        if (rmt_meta_apply(fd, entry, RMT_META_ONLY_FLAGS, error) == -1)
            return rmt_make_wrap(entry, error);
    }
    return 0;
}

static int
s_finish(rmt_writer_t *self, rmt_error_t *error)
{
    if (self->wanted)
        return rmt_fail(error, RMT_E_CORRUPT, "the end, and %llu bytes are missing",
                        (unsigned long long) self->wanted);
    if (!self->depth)
        return rmt_fail(error, RMT_E_CORRUPT, "a tree without a root");
    if (s_send_parcel(self, error) == -1)
        return -1;
    while (self->depth)
        if (s_pop(self, true, error) == -1)
            return -1;
    rmt_queue_drain(self->queue);
    if (rmt_queue_check(self->queue, error) == -1)
        return -1;
    return s_lock(self, error);
}

int
rmt_writer_finish(rmt_writer_t *self, rmt_writer_report_t *report_out, rmt_error_t *error)
{
    if (s_settle(self, self->failed ? -1 : s_finish(self, error), error) == -1)
        return -1;
    *report_out = self->report;
    return 0;
}

// ---- Life

rmt_writer_t *
rmt_writer_new(int root_fd, unsigned threads, rmt_error_t *error)
{
    rmt_writer_t *self = calloc(1, sizeof *self);
    assert(self);
    self->root_fd = root_fd;
    self->fd = -1;
    self->umask = umask(0);
    self->queue = rmt_queue_new(PARCELS_MAX, 0);
    self->links = rmt_links_new();
    if (!threads) {
        const long processors = sysconf(_SC_NPROCESSORS_ONLN);
        threads = processors > 0 ? (unsigned) processors : 1;
    }
    for (size_t i = 0; i < threads && i < THREADS_MAX; i++) {
        errno = pthread_create(&self->threads[i], NULL, s_work, self);
        if (errno) {
            rmt_fail_errno(error, "start a thread");
            rmt_writer_destroy(&self);
            return NULL;
        }
        self->thread_count++;
    }
    return self;
}

void
rmt_writer_destroy(rmt_writer_t **self_p)
{
    rmt_writer_t *self = *self_p;
    if (!self)
        return;
    rmt_error_t error = {.code = RMT_E_CANCELLED};
    rmt_queue_fail(self->queue, &error);
    for (size_t i = 0; i < self->thread_count; i++)
        pthread_join(self->threads[i], NULL);
    s_parcel_destroy(&self->parcel);
    rmt_chore_t *chore;
    while ((chore = rmt_queue_reclaim(self->queue))) {
        s_parcel_t *parcel = (s_parcel_t *) chore;
        s_parcel_destroy(&parcel);
    }
    while (self->depth)
        s_pop(self, false, &error);
    if (self->fd != -1)
        close(self->fd);
    for (size_t i = 0; i < self->locked_count; i++)
        free(self->locked[i]);
    free(self->locked);
    free(self->current);
    free(self->path);
    free(self->at);
    rmt_links_destroy(&self->links);
    rmt_queue_destroy(&self->queue);
    umask(self->umask);
    free(self);
    *self_p = NULL;
}
