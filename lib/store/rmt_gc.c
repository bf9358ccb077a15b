#include "store/rmt_gc.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_failpoint.h"
#include "base/rmt_io.h"
#include "store/rmt_file_name.h"
#include "store/rmt_idset.h"
#include "store/rmt_image.h"
#include "store/rmt_lock.h"
#include "store/rmt_sweep.h"
#include "store/rmt_tables.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

// ---- Mark

typedef struct {
    rmt_store_t *store;
    const rmt_store_watch_t *watch;
    rmt_idset_t *seen; // Images that have marked what they need
} s_mark_t;

static int
s_mark_chunk(void *context, const rmt_id_t *id, const char *path, rmt_error_t *error)
{
    (void) path;
    s_mark_t *mark = context;
    rmt_copies_t copies = {0};
    rmt_copy_t copy;
    while (rmt_tables_next_copy(rmt_store_tables(mark->store), id, &copies, &copy))
        *copy.flags |= RMT_PACK_LIVE;
    return rmt_watch_alive(mark->watch, 0, 0, error);
}

static int
s_mark_image(s_mark_t *mark, const char *text, rmt_error_t *error)
{
    rmt_store_t *self = mark->store;
    rmt_id_t id;
    if (rmt_id_parse(&id, text, error) == -1)
        return -1;
    if (!rmt_idset_add(mark->seen, &id))
        return 0;
    rmt_error_t why;
    rmt_auto(rmt_records) records = rmt_image_load(self, &id, &why);
    if (!records && why.code == RMT_E_NOT_FOUND)
        return 0; // Removed meanwhile
    if (!records) {
        *error = why;
        return -1;
    }
    for (size_t i = 0; i < rmt_records_count(records); i++)
        if (rmt_image_visit(self, rmt_records_at(records, i), s_mark_chunk, mark,
                            error) == -1)
            return rmt_wrap(error, "image %s", text);
    return 0;
}

// All images that have not marked yet what they need.
static int
s_mark_images(s_mark_t *mark, rmt_error_t *error)
{
    rmt_auto(rmt_records) images = rmt_store_image_list(mark->store, error);
    if (!images)
        return -1;
    for (size_t i = 0; i < rmt_records_count(images); i++)
        if (s_mark_image(mark, rmt_record_text(rmt_records_at(images, i), "id", ""),
                         error) == -1)
            return -1;
    return 0;
}

static void
s_clear_marks(rmt_store_t *self)
{
    const rmt_tables_t *tables = rmt_store_tables(self);
    for (size_t i = 0; i < rmt_tables_count(tables); i++) {
        rmt_index_t *index = rmt_tables_at(tables, i)->index;
        for (uint32_t at = 0; index && at < rmt_index_pack_count(index); at++)
            rmt_index_flags(index)[at] &= (uint8_t) ~RMT_PACK_LIVE;
    }
}

// ---- Decide

// A pack with the flags of all indexes that list it.
typedef struct {
    rmt_file_name_t name;
    uint8_t flags;
    uint64_t size;
} s_pack_t;

static s_pack_t *
s_gather(const rmt_tables_t *tables, size_t *count_out)
{
    rmt_buffer_t packs = {0};
    rmt_buffer_reserve(&packs, 1);
    for (size_t i = 0; i < rmt_tables_count(tables); i++) {
        rmt_index_t *index = rmt_tables_at(tables, i)->index;
        for (uint32_t at = 0; index && at < rmt_index_pack_count(index); at++) {
            const s_pack_t pack = {rmt_index_pack_name(index, at),
                                   rmt_index_flags(index)[at],
                                   rmt_index_pack_size(index, at)};
            rmt_buffer_add(&packs, &pack, sizeof pack);
        }
    }
    s_pack_t *all = (s_pack_t *) (void *) packs.data;
    const size_t count = packs.used / sizeof *all;
    qsort(all, count, sizeof *all, rmt_file_name_compare);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && rmt_file_name_compare(&all[kept - 1], &all[i]) == 0)
            all[kept - 1].flags |= all[i].flags;
        else
            all[kept++] = all[i];
    }
    *count_out = kept;
    return all;
}

static int
s_set_mark(const char *marker, rmt_error_t *error)
{
    if (RMT_FAILPOINT("store.gc.mark") == -1)
        return rmt_fail_errno(error, "create %s", marker);
    rmt_auto_fd fd = open(marker, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd == -1 ? rmt_fail_errno(error, "create %s", marker) : 0;
}

static int
s_remove(const char *path, rmt_error_t *error)
{
    if ((RMT_FAILPOINT("store.gc.remove") == -1 || unlink(path) == -1) && errno != ENOENT)
        return rmt_fail_errno(error, "remove %s", path);
    return 0;
}

// Set or take the mark of one pack, or say in its flags that it must go.
static int
s_decide(const rmt_store_t *self, s_pack_t *pack, int64_t age_s, rmt_gc_report_t *report,
         rmt_error_t *error)
{
    rmt_auto_str marker = rmt_file_name_path(rmt_store_root(self), "trash", &pack->name);
    struct stat status;
    const bool is_marked = stat(marker, &status) == 0;
    if (pack->flags & RMT_PACK_LIVE) {
        report->packs_live++;
        report->packs_revived += is_marked;
        return is_marked ? s_remove(marker, error) : 0;
    }
    if (is_marked && rmt_clock_wall_ms() / 1000 - status.st_mtime >= age_s) {
        pack->flags |= RMT_PACK_DOOMED;
        return 0;
    }
    report->packs_marked++;
    return is_marked ? 0 : s_set_mark(marker, error);
}

// ---- Remove

// First out of the indexes, then the file, last the mark: wherever a crash falls, a pack
// that is left is found again.
static int
s_remove_doomed(rmt_store_t *self, const s_pack_t *packs, size_t count,
                rmt_gc_report_t *report, rmt_error_t *error)
{
    for (size_t i = 0; i < count; i++)
        if (packs[i].flags & RMT_PACK_DOOMED)
            (void) rmt_tables_flag_pack(rmt_store_tables(self), &packs[i].name,
                                        RMT_PACK_DOOMED);
    int result = rmt_tables_drop_doomed(rmt_store_tables(self), error);
    for (size_t i = 0; i < count && result == 0; i++) {
        if (!(packs[i].flags & RMT_PACK_DOOMED))
            continue;
        rmt_auto_str path =
            rmt_file_name_path(rmt_store_root(self), "packs", &packs[i].name);
        rmt_auto_str marker =
            rmt_file_name_path(rmt_store_root(self), "trash", &packs[i].name);
        result = s_remove(path, error) == 0 ? s_remove(marker, error) : -1;
        report->packs_removed++;
        report->bytes_removed += packs[i].size;
    }
    return result;
}

static int
s_collect(rmt_store_t *self, int64_t age_s, rmt_gc_report_t *report, rmt_error_t *error)
{
    size_t count = 0;
    s_pack_t *packs = s_gather(rmt_store_tables(self), &count);
    int result = 0;
    bool is_any_doomed = false;
    for (size_t i = 0; i < count && result == 0; i++) {
        result = s_decide(self, &packs[i], age_s, report, error);
        is_any_doomed |= (packs[i].flags & RMT_PACK_DOOMED) != 0;
    }
    if (result == 0 && is_any_doomed)
        result = s_remove_doomed(self, packs, count, report, error);
    free(packs);
    return result;
}

// The lock keeps other processes from publishing an image meanwhile.
static int
s_prepare(rmt_store_t *self, rmt_gc_report_t *report, rmt_error_t *error)
{
    rmt_auto_fd images =
        rmt_lock_take(rmt_store_root(self), RMT_LOCK_IMAGES, LOCK_EX, error);
    return images == -1 ||
                   rmt_sweep(rmt_store_root(self), &report->left_behind, error) == -1 ||
                   rmt_store_refresh(self, error) == -1 ||
                   rmt_tables_repair(rmt_store_tables(self), error) == -1
               ? -1
               : 0;
}

// Here as well; of the images only those that were published since are left to mark.
static int
s_finish(s_mark_t *mark, int64_t age_s, rmt_gc_report_t *report, rmt_error_t *error)
{
    rmt_store_t *self = mark->store;
    rmt_auto_fd images =
        rmt_lock_take(rmt_store_root(self), RMT_LOCK_IMAGES, LOCK_EX, error);
    return images == -1 || rmt_store_refresh(self, error) == -1 ||
                   s_mark_images(mark, error) == -1 ||
                   s_collect(self, age_s, report, error) == -1
               ? -1
               : 0;
}

static int
s_gc(s_mark_t *mark, int64_t age_s, rmt_gc_report_t *report, rmt_error_t *error)
{
    // Before that of the images, always; who publishes an image takes that one alone.
    rmt_auto_fd indexes =
        rmt_lock_take(rmt_store_root(mark->store), RMT_LOCK_INDEX, LOCK_EX, error);
    if (indexes == -1 || s_prepare(mark->store, report, error) == -1)
        return -1;
    s_clear_marks(mark->store);
    // The long part: every image is read, and images are published meanwhile.
    if (s_mark_images(mark, error) == -1 || s_finish(mark, age_s, report, error) == -1)
        return -1;
    return rmt_store_refresh(mark->store, error);
}

int
rmt_store_gc(rmt_store_t *self, int64_t age_s, const rmt_store_watch_t *watch,
             rmt_gc_report_t *report_out, rmt_error_t *error)
{
    assert(age_s >= 0);
    rmt_gc_report_t report = {0};
    rmt_auto(rmt_idset) seen = rmt_idset_new();
    s_mark_t mark = {self, watch, seen};
    if (s_gc(&mark, age_s, &report, error) == -1)
        return rmt_wrap(error, "gc of store %s", rmt_store_root(self));
    *report_out = report;
    return 0;
}
