#include "tree/rmt_capture.h"
#include "base/rmt_auto.h"
#include "tree/rmt_portion.h"
#include "base/rmt_clock.h"
#include "base/rmt_log.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#define WINDOW_SIZE ((size_t) 32 * 1024 * 1024)
#define THREADS_MAX 16
// Portions between walk and sink. Each holds RMT_PORTION_DIRS_MAX folders open at
// most.
#define PORTIONS_MAX 48
#define POLL_MS 200
// For files that change while they are read.
#define PATIENCE_MS 10000

typedef struct {
    const rmt_capture_options_t *options;
    const rmt_capture_sink_t *sink;
    rmt_queue_t *queue;
    rmt_walk_t *walk;   // Of the walking thread until it has ended
    rmt_links_t *links; // Likewise; except for made_inode of a link
    atomic_int patience_ms;
    pthread_t threads[THREADS_MAX + 1];
    size_t thread_count;
    // All else belongs to the calling thread.
    rmt_manifest_writer_t *manifest;
    rmt_capture_report_t *report;
    rmt_capture_progress_t progress;
    int64_t progress_ms;
    uint8_t *plain; // For reading, when the calling thread has to
    rmt_entry_buffer_t *entry_room;
} s_capture_t;

void
rmt_capture_report_clear(rmt_capture_report_t *report)
{
    rmt_records_destroy(&report->fuzzy);
    rmt_records_destroy(&report->unreadable);
    *report = (rmt_capture_report_t){0};
}

// ---- The walking thread

// Find or found the group of an inode with several names.
static void
s_group(s_capture_t *self, rmt_capture_item_t *item)
{
    const struct stat *status = &item->status;
    if (S_ISDIR(status->st_mode) || status->st_nlink < 2 || item->is_mount)
        return;
    item->link = rmt_links_find(self->links, status->st_dev, status->st_ino);
    if (item->link)
        return;
    item->link = rmt_links_add(self->links, status->st_dev, status->st_ino, "", 0);
    item->is_first = true;
}

static bool
s_put(s_capture_t *self, rmt_portion_t **portion_p)
{
    rmt_portion_t *portion = rmt_take(portion_p);
    const size_t weight =
        portion->room < RMT_PORTION_PIECE_SIZE ? portion->room : RMT_PORTION_PIECE_SIZE;
    if (rmt_queue_put(self->queue, &portion->chore, weight))
        return true;
    rmt_portion_destroy(&portion);
    return false;
}

// A file that the cache knows is not read. A further link has no contents of its own.
static void
s_recall(s_capture_t *self, const rmt_walk_item_t *found, rmt_capture_item_t *item)
{
    if (!self->options->cache || found->failed || found->is_mount ||
        (item->link && !item->is_first))
        return;
    size_t size = 0;
    const void *entry = rmt_cache_reader_find(self->options->cache, found->path,
                                              found->path_size, &found->status, &size);
    if (entry)
        rmt_capture_item_set_cached(item, entry, size);
}

static void *
s_walk(void *argument)
{
    s_capture_t *self = argument;
    rmt_error_t error = {0};
    rmt_walk_item_t found;
    rmt_auto(rmt_portion) portion = rmt_portion_new();
    int result = 0;
    while ((result = rmt_walk_next(self->walk, &found, &error)) == 1) {
        rmt_capture_item_t *item = rmt_capture_item_new(&found);
        item->patience_ms = &self->patience_ms;
        item->steady.is_still = self->options->is_still;
        s_group(self, item);
        s_recall(self, &found, item);
        if (!rmt_portion_add(portion, &item)) {
            if (!s_put(self, &portion)) {
                rmt_capture_item_destroy(&item);
                return NULL;
            }
            portion = rmt_portion_new();
            const bool taken = rmt_portion_add(portion, &item);
            assert(taken);
        }
    }
    if (result == -1)
        rmt_queue_fail(self->queue, &error);
    else if (portion->item_count)
        s_put(self, &portion);
    rmt_queue_end(self->queue);
    return NULL;
}

// ---- The workers

static void *
s_work(void *argument)
{
    s_capture_t *self = argument;
    rmt_auto_ptr plain = malloc(RMT_PORTION_PIECE_SIZE);
    assert(plain);
    rmt_chore_t *chore;
    while ((chore = rmt_queue_get(self->queue))) {
        rmt_portion_t *portion = (rmt_portion_t *) chore;
        rmt_portion_t *next = rmt_portion_prepare(portion, plain);
        // Handed on before packing, so that others go on with a large file meanwhile.
        if (next)
            rmt_queue_put_after(self->queue, &next->chore, next->room, chore);
        rmt_portion_pack(portion);
        rmt_queue_done(self->queue, chore);
    }
    return NULL;
}

// ---- The calling thread: the report

static rmt_record_t *
s_list(rmt_records_t *list, const rmt_capture_item_t *item)
{
    if (rmt_records_count(list) >= RMT_CAPTURE_LIST_MAX)
        return NULL;
    rmt_record_t *record = rmt_records_add(list);
    rmt_record_put(record, "path", item->path, item->entry.path_size);
    return record;
}

static void
s_report_unreadable(rmt_capture_report_t *report, const rmt_capture_item_t *item)
{
    report->unreadable_count++;
    rmt_record_t *record = s_list(report->unreadable, item);
    if (record)
        rmt_record_set(record, "reason", item->reason);
}

static void
s_report_attributes(rmt_capture_report_t *report, const rmt_entry_t *entry)
{
    report->setuid += S_ISREG(entry->mode) && entry->mode & S_ISUID;
    report->setgid += S_ISREG(entry->mode) && entry->mode & S_ISGID;
    for (size_t i = 0; i < entry->xattr_count; i++) {
        const char *name = entry->xattrs[i].name;
        if (strcmp(name, "security.capability") == 0)
            report->capabilities++;
        else if (strncmp(name, "security.", 9) == 0)
            report->labels++;
        else if (strncmp(name, "system.posix_acl_", 17) == 0)
            report->acls++;
    }
}

static void
s_report_entry(rmt_capture_report_t *report, const rmt_entry_t *entry)
{
    if (entry->link_group && !entry->link_first) {
        report->hard_links++;
        return;
    }
    if (S_ISREG(entry->mode))
        report->files++;
    else if (S_ISDIR(entry->mode))
        report->folders++;
    else if (S_ISLNK(entry->mode))
        report->symlinks++;
    else
        report->others++;
    for (size_t i = 0; i < entry->chunk_count; i++)
        report->size += entry->chunk_sizes[i];
    for (size_t i = 0; i < entry->reserved_count; i++)
        report->reserved += entry->reserved[i].size;
    s_report_attributes(report, entry);
}

// ---- The calling thread: entries

static void
s_fill_contents(rmt_capture_item_t *item)
{
    rmt_entry_t *entry = &item->entry;
    if (item->is_unreadable) {
        // What is known of it stays; contents that are not whole are worth nothing.
        entry->unreadable = true;
        return;
    }
    entry->fuzzy = item->is_fuzzy;
    entry->chunks = item->chunks;
    entry->chunk_sizes = item->chunk_sizes;
    entry->chunk_count = item->chunk_count;
    entry->reserved = item->reserved.items;
    entry->reserved_count = item->reserved.count;
    if (rmt_extents_is_sparse(&item->runs, entry->size)) {
        entry->sparse = true;
        entry->extents = item->runs.items;
        entry->extent_count = item->runs.count;
    }
}

// True when an entry can stand for it: its type is known, and a symlink has its target.
static bool
s_can_stand(const rmt_capture_item_t *item)
{
    const uint32_t type = item->entry.mode & S_IFMT;
    return type != 0 && (type != S_IFLNK || item->entry.target);
}

// Take the entry of the cache. False when it is none for this name, which then has to be
// read.
static bool
s_take_cached(s_capture_t *self, rmt_capture_item_t *item)
{
    rmt_entry_t entry;
    rmt_error_t ignored;
    const uint32_t type = item->status.st_mode & S_IFMT;
    if (rmt_entry_decode(item->cached, item->cached_size, self->entry_room, &entry,
                         &ignored) == -1 ||
        (entry.mode & S_IFMT) != type || entry.fuzzy || entry.unreadable ||
        (type == S_IFREG && entry.link_group && !entry.link_first) ||
        entry.path_size != item->entry.path_size ||
        memcmp(entry.path, item->path, entry.path_size) != 0)
        return false;
    item->entry = entry;
    item->entry.link_group = 0;
    item->entry.link_first = false;
    return true;
}

static int
s_emit_ids(s_capture_t *self, const rmt_entry_t *entry, rmt_error_t *error)
{
    for (size_t i = 0; i < entry->chunk_count; i++) {
        if (self->sink->id_fn(self->sink->context, &entry->chunks[i], error) == -1)
            return -1;
        self->progress.done_size += entry->chunk_sizes[i];
    }
    self->report->cached++;
    return 0;
}

// For the next capture. It reads fuzzy and unreadable files again.
static void
s_remember(s_capture_t *self, const rmt_capture_item_t *item)
{
    rmt_cache_writer_t *cache = self->options->cache_out;
    const rmt_entry_t *entry = &item->entry;
    if (!cache || item->is_mount || entry->fuzzy || entry->unreadable ||
        (entry->link_group && !entry->link_first))
        return;
    if (item->cached)
        rmt_cache_writer_add_again(cache, &item->status, item->path, entry->path_size,
                                   item->cached, item->cached_size);
    else
        rmt_cache_writer_add(cache, &item->status, entry);
}

static int
s_finish_item(s_capture_t *self, rmt_capture_item_t *item, rmt_error_t *error)
{
    rmt_entry_t *entry = &item->entry;
    if (item->is_vanished) {
        self->report->vanished++;
        return 0;
    }
    if (item->is_unreadable)
        s_report_unreadable(self->report, item);
    if (item->link && !item->is_first) {
        *entry = (rmt_entry_t){.path = entry->path,
                               .path_size = entry->path_size,
                               .mode = item->status.st_mode};
    } else if (item->cached) {
        if (s_emit_ids(self, entry, error) == -1)
            return -1;
    } else if (!s_can_stand(item)) {
        return 0;
    } else if (S_ISREG(entry->mode)) {
        s_fill_contents(item);
    } else {
        entry->unreadable = item->is_unreadable;
    }
    if (item->link) {
        entry->link_group = item->link->group;
        entry->link_first = item->is_first;
        item->link->made_inode = 1; // The group has its first member
    }
    if (entry->fuzzy) {
        self->report->fuzzy_count++;
        s_list(self->report->fuzzy, item);
    }
    s_report_entry(self->report, entry);
    s_remember(self, item);
    self->progress.file_count++;
    if (rmt_manifest_writer_add(self->manifest, entry, error) == 0)
        return 0;
    char path[256];
    return rmt_wrap(error, "entry %s", rmt_log_escape(path, sizeof path, entry->path));
}

// Hand out the chunks of a portion and note them at their items.
static int
s_emit_chunks(s_capture_t *self, rmt_portion_t *portion, rmt_error_t *error)
{
    if (portion->is_restart)
        rmt_capture_item_clear_chunks(portion->items[0]);
    const rmt_chunk_t *chunk = portion->chunks;
    for (size_t i = 0; i < portion->item_count; i++) {
        for (size_t left = portion->chunk_counts[i]; left; left--, chunk++) {
            if (self->sink->chunk_fn(self->sink->context, chunk, error) == -1)
                return -1;
            rmt_capture_item_add_chunk(portion->items[i], chunk);
            self->progress.done_size += chunk->plain_size;
        }
    }
    return 0;
}

// Read an item here and now.
static int
s_read_instead(s_capture_t *self, rmt_capture_item_t **item_p, rmt_error_t *error)
{
    rmt_capture_item_t *item = *item_p;
    rmt_portion_t *portion = rmt_portion_new();
    const bool taken = rmt_portion_add(portion, item_p);
    assert(taken);
    int result = 0;
    while (portion) {
        rmt_portion_t *next = rmt_portion_prepare(portion, self->plain);
        rmt_portion_pack(portion);
        if (result == 0)
            result = s_emit_chunks(self, portion, error);
        portion->is_last = false; // The item goes back to where it came from
        rmt_portion_destroy(&portion);
        portion = next;
    }
    *item_p = item;
    return result;
}

static int
s_emit_item(s_capture_t *self, rmt_capture_item_t **item_p, rmt_error_t *error)
{
    rmt_capture_item_t *item = *item_p;
    bool is_due = false;
    if (item->cached && !s_take_cached(self, item)) {
        rmt_capture_item_set_cached(item, NULL, 0);
        is_due = true;
    } else if (item->link && !item->is_first && !item->link->made_inode) {
        // The member that had the contents has vanished before it was read: this is next.
        item->is_first = true;
        is_due = true;
    }
    if (is_due && s_read_instead(self, item_p, error) == -1)
        return -1;
    return s_finish_item(self, item, error);
}

static int
s_emit(s_capture_t *self, rmt_portion_t *portion, rmt_error_t *error)
{
    if (s_emit_chunks(self, portion, error) == -1)
        return -1;
    if (!portion->is_last)
        return 0;
    for (size_t i = 0; i < portion->item_count; i++)
        if (s_emit_item(self, &portion->items[i], error) == -1)
            return -1;
    return 0;
}

static void
s_show_progress(s_capture_t *self, bool is_end)
{
    const int64_t now = rmt_clock_ms();
    if (!self->sink->progress_fn || (!is_end && now - self->progress_ms < POLL_MS))
        return;
    self->progress_ms = now;
    self->sink->progress_fn(self->sink->context, &self->progress);
}

static bool
s_is_cancelled(const s_capture_t *self)
{
    const rmt_capture_options_t *options = self->options;
    return options->cancelled_fn && options->cancelled_fn(options->cancelled_context);
}

static int
s_emit_all(s_capture_t *self, rmt_error_t *error)
{
    int64_t asked_ms = 0;
    for (;;) {
        const int64_t now = rmt_clock_ms();
        if (now - asked_ms >= POLL_MS) {
            asked_ms = now;
            if (s_is_cancelled(self))
                return rmt_fail(error, RMT_E_CANCELLED, "capture cancelled");
        }
        rmt_chore_t *chore = NULL;
        const int result = rmt_queue_take(self->queue, POLL_MS, &chore);
        if (result == 0)
            return 0;
        if (result == -1) {
            if (rmt_queue_check(self->queue, error) == -1)
                return -1;
            continue;
        }
        rmt_portion_t *portion = (rmt_portion_t *) chore;
        const int emitted = s_emit(self, portion, error);
        rmt_queue_release(self->queue, chore);
        rmt_portion_destroy(&portion);
        if (emitted == -1)
            return -1;
        s_show_progress(self, false);
    }
}

// ---- Start and end

static int
s_start_threads(s_capture_t *self, rmt_error_t *error)
{
    size_t workers = self->options->threads;
    if (!workers) {
        const long processors = sysconf(_SC_NPROCESSORS_ONLN);
        workers = processors > 0 ? (size_t) processors : 1;
    }
    if (workers > THREADS_MAX)
        workers = THREADS_MAX;
    for (size_t i = 0; i <= workers; i++) {
        errno = pthread_create(&self->threads[i], NULL, i == 0 ? s_walk : s_work, self);
        if (errno)
            return rmt_fail_errno(error, "start a thread");
        self->thread_count++;
    }
    return 0;
}

static void
s_stop_threads(s_capture_t *self, const rmt_error_t *error)
{
    if (error)
        rmt_queue_fail(self->queue, error);
    for (size_t i = 0; i < self->thread_count; i++)
        pthread_join(self->threads[i], NULL);
    rmt_chore_t *chore;
    while ((chore = rmt_queue_reclaim(self->queue))) {
        rmt_portion_t *portion = (rmt_portion_t *) chore;
        rmt_portion_destroy(&portion);
    }
}

static void
s_finish_report(s_capture_t *self)
{
    const rmt_walk_report_t *walked = rmt_walk_report(self->walk);
    self->report->sockets += walked->sockets;
    self->report->vanished += walked->vanished;
    self->report->mounts += walked->mounts;
    self->report->excluded += walked->excluded;
}

static int
s_run(s_capture_t *self, rmt_id_t *root_out, rmt_error_t *error)
{
    if (s_start_threads(self, error) == -1 || s_emit_all(self, error) == -1) {
        s_stop_threads(self, error);
        return -1;
    }
    s_stop_threads(self, NULL);
    if (rmt_manifest_writer_finish(self->manifest, root_out, error) == -1)
        return -1;
    s_finish_report(self);
    s_show_progress(self, true);
    return 0;
}

int
rmt_capture_run(const rmt_capture_options_t *options, const rmt_capture_sink_t *sink,
                rmt_id_t *root_out, rmt_capture_report_t *report_out, rmt_error_t *error)
{
    assert(options && sink && sink->chunk_fn && root_out && report_out);
    assert(!options->cache || sink->id_fn);
    s_capture_t self = {.options = options, .sink = sink};
    self.walk = rmt_walk_new(options->root_fd, options->excludes, error);
    if (!self.walk)
        return -1;
    rmt_capture_report_t report = {0};
    report.fuzzy = rmt_records_new();
    report.unreadable = rmt_records_new();
    self.report = &report;
    atomic_init(&self.patience_ms, PATIENCE_MS);
    self.queue = rmt_queue_new(PORTIONS_MAX,
                               options->window_size ? options->window_size : WINDOW_SIZE);
    self.links = rmt_links_new();
    self.manifest = rmt_manifest_writer_new(sink->chunk_fn, sink->context);
    self.entry_room = rmt_entry_buffer_new();
    self.plain = malloc(RMT_PORTION_PIECE_SIZE);
    assert(self.plain);
    struct statvfs space;
    if (fstatvfs(options->root_fd, &space) == 0)
        self.progress.total_size = (space.f_blocks - space.f_bfree) * space.f_frsize;

    const int result = s_run(&self, root_out, error);
    if (result == 0)
        *report_out = report;
    else
        rmt_capture_report_clear(&report);
    rmt_manifest_writer_destroy(&self.manifest);
    rmt_walk_destroy(&self.walk);
    rmt_links_destroy(&self.links);
    rmt_queue_destroy(&self.queue);
    rmt_entry_buffer_destroy(&self.entry_room);
    free(self.plain);
    return result;
}
