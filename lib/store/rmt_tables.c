#include "store/rmt_tables.h"
#include "base/rmt_auto.h"
#include "base/rmt_failpoint.h"
#include "base/rmt_grow.h"
#include "base/rmt_io.h"
#include "store/rmt_lock.h"
#include "store/rmt_pack.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

// Above so many indexes the small ones are merged.
#define TABLES_MAX 8
// Indexes may vanish between listing and opening, but not again and again.
#define ATTEMPTS_MAX 32

struct rmt_tables {
    char *root;
    rmt_table_t *list;
    size_t count, room;
    rmt_index_t *adopted; // Stands for damaged indexes: made from the packs' trailers
};

rmt_tables_t *
rmt_tables_new(const char *root)
{
    rmt_tables_t *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    self->root = rmt_text("%s", root);
    return self;
}

void
rmt_tables_destroy(rmt_tables_t **self_p)
{
    rmt_tables_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        rmt_index_destroy(&self->list[i].index);
    free(self->list);
    rmt_index_destroy(&self->adopted);
    free(self->root);
    free(self);
    *self_p = NULL;
}

size_t
rmt_tables_count(const rmt_tables_t *self)
{
    return self->count;
}

const rmt_table_t *
rmt_tables_at(const rmt_tables_t *self, size_t number)
{
    assert(number < self->count);
    return &self->list[number];
}

// ---- Indexes

static bool
s_has_table(const rmt_tables_t *self, const rmt_file_name_t *name)
{
    for (size_t i = 0; i < self->count; i++)
        if (rmt_file_name_compare(&self->list[i].name, name) == 0)
            return true;
    return false;
}

static void
s_drop_vanished(rmt_tables_t *self, const rmt_buffer_t *names)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->count; i++) {
        if (rmt_file_names_have(names, &self->list[i].name))
            self->list[kept++] = self->list[i];
        else
            rmt_index_destroy(&self->list[i].index);
    }
    self->count = kept;
}

// 0, or -1: NOT_FOUND when it vanished, IO, UNSUPPORTED. A damaged one is remembered.
static int
s_load_table(rmt_tables_t *self, const rmt_file_name_t *name, rmt_error_t *error)
{
    rmt_auto_str path = rmt_file_name_path(self->root, "index", name);
    rmt_error_t why;
    rmt_index_t *index = rmt_index_open(path, &why);
    if (!index && why.code != RMT_E_CORRUPT) {
        *error = why;
        return -1;
    }
    rmt_grow(&self->list, &self->room, self->count + 1);
    self->list[self->count++] = (rmt_table_t){*name, index};
    return 0;
}

static int
s_load_new(rmt_tables_t *self, rmt_error_t *error)
{
    rmt_buffer_t names = {0};
    if (rmt_file_names_read(self->root, "index", &names, NULL, error) == -1)
        return -1;
    int result = 0;
    for (size_t i = 0; i < rmt_file_names_count(&names) && result == 0; i++) {
        const rmt_file_name_t name = rmt_file_names_at(&names, i);
        if (!s_has_table(self, &name))
            result = s_load_table(self, &name, error);
    }
    if (result == 0)
        s_drop_vanished(self, &names);
    rmt_buffer_clear(&names);
    return result;
}

// ---- Packs

static void
s_flag_packs(rmt_tables_t *self, rmt_index_t *index, const rmt_buffer_t *trash)
{
    uint8_t *flags = rmt_index_flags(index);
    for (uint32_t pack = 0; pack < rmt_index_pack_count(index); pack++) {
        const rmt_file_name_t name = rmt_index_pack_name(index, pack);
        rmt_auto_str path = rmt_file_name_path(self->root, "packs", &name);
        struct stat status;
        flags[pack] &= RMT_PACK_LIVE; // gc refreshes between marking and deciding
        if (stat(path, &status) == 0 &&
            (uint64_t) status.st_size == rmt_index_pack_size(index, pack))
            flags[pack] |= RMT_PACK_PRESENT;
        if (rmt_file_names_have(trash, &name))
            flags[pack] |= RMT_PACK_TRASHED;
    }
}

static int
s_flag_all(rmt_tables_t *self, rmt_error_t *error)
{
    rmt_buffer_t trash = {0};
    if (rmt_file_names_read(self->root, "trash", &trash, NULL, error) == -1)
        return -1;
    for (size_t i = 0; i < self->count; i++)
        if (self->list[i].index)
            s_flag_packs(self, self->list[i].index, &trash);
    if (self->adopted)
        s_flag_packs(self, self->adopted, &trash);
    rmt_buffer_clear(&trash);
    return 0;
}

// ---- Packs that no index lists

static void
s_add_pack_names(rmt_buffer_t *names, const rmt_index_t *index)
{
    for (uint32_t pack = 0; pack < rmt_index_pack_count(index); pack++) {
        const rmt_file_name_t name = rmt_index_pack_name(index, pack);
        rmt_file_names_add(names, &name);
    }
}

static rmt_buffer_t
s_listed_packs(const rmt_tables_t *self)
{
    rmt_buffer_t names = {0};
    for (size_t i = 0; i < self->count; i++)
        if (self->list[i].index)
            s_add_pack_names(&names, self->list[i].index);
    rmt_file_names_sort(&names);
    return names;
}

// Add one pack's slots and its entry. One that cannot be read is left out.
static void
s_adopt_pack(const rmt_tables_t *self, const rmt_file_name_t *name, rmt_buffer_t *slots,
             rmt_buffer_t *packs)
{
    rmt_auto_str path = rmt_file_name_path(self->root, "packs", name);
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    rmt_slot_t *found = NULL;
    size_t count = 0;
    uint64_t size = 0;
    rmt_error_t ignored;
    if (fd == -1 || rmt_pack_load(fd, name, &found, &count, &size, &ignored) == -1)
        return;
    for (size_t i = 0; i < count; i++)
        found[i].pack = (uint32_t) (packs->used / RMT_PACK_ENTRY_SIZE);
    rmt_buffer_add(slots, found, count * sizeof *found);
    free(found);
    uint8_t entry[RMT_PACK_ENTRY_SIZE];
    memcpy(entry, name->bytes, sizeof *name);
    rmt_put64(entry + sizeof *name, size);
    rmt_buffer_add(packs, entry, sizeof entry);
}

// Slots of all packs that no sound index lists, as an index at path, or in memory when it
// is NULL. *pack_count_out packs are in it; at 0 nothing was written. Packs without
// a sound trailer are left out. 0, or -1: IO, NO_SPACE.
static int
s_adopt(rmt_tables_t *self, const char *path, rmt_buffer_t *buffer_out,
        uint32_t *pack_count_out, rmt_error_t *error)
{
    rmt_buffer_t names = {0}, slots = {0}, packs = {0};
    if (rmt_file_names_read(self->root, "packs", &names, NULL, error) == -1)
        return -1;
    rmt_buffer_t listed = s_listed_packs(self);
    for (size_t i = 0; i < rmt_file_names_count(&names); i++) {
        const rmt_file_name_t name = rmt_file_names_at(&names, i);
        if (!rmt_file_names_have(&listed, &name))
            s_adopt_pack(self, &name, &slots, &packs);
    }
    const uint32_t count = (uint32_t) (packs.used / RMT_PACK_ENTRY_SIZE);
    int result = 0;
    if (count > 0)
        result = rmt_index_save(path, (rmt_slot_t *) (void *) slots.data,
                                slots.used / sizeof(rmt_slot_t), packs.data, count,
                                buffer_out, error);
    rmt_buffer_clear(&names);
    rmt_buffer_clear(&listed);
    rmt_buffer_clear(&slots);
    rmt_buffer_clear(&packs);
    if (result == 0)
        *pack_count_out = count;
    return result;
}

// Stand in for damaged indexes, so that their chunks are still found.
static int
s_replace_damaged(rmt_tables_t *self, rmt_error_t *error)
{
    rmt_index_destroy(&self->adopted);
    size_t damaged_count = 0;
    for (size_t i = 0; i < self->count; i++)
        damaged_count += !self->list[i].index;
    if (damaged_count == 0)
        return 0;
    rmt_buffer_t bytes = {0};
    uint32_t pack_count = 0;
    if (s_adopt(self, NULL, &bytes, &pack_count, error) == -1)
        return -1;
    if (pack_count == 0)
        return 0;
    self->adopted = rmt_index_from(&bytes, error);
    return self->adopted ? 0 : -1;
}

int
rmt_tables_refresh(rmt_tables_t *self, rmt_error_t *error)
{
    rmt_error_t why;
    int result = -1;
    for (int attempt = 0; result == -1 && attempt < ATTEMPTS_MAX; attempt++) {
        result = s_load_new(self, &why);
        if (result == -1 && why.code != RMT_E_NOT_FOUND)
            break;
    }
    if (result == -1)
        *error = why;
    if (result == -1 || s_replace_damaged(self, error) == -1 ||
        s_flag_all(self, error) == -1)
        return rmt_wrap(error, "store %s", self->root);
    return 0;
}

// ---- Copies

// A stage is a place where copies are looked for: 1 what was adopted, then the tables,
// the newest first. There is none at stage 0.
static rmt_index_t *
s_stage_index(const rmt_tables_t *self, size_t stage)
{
    if (stage == 0)
        return NULL;
    return stage == 1 ? self->adopted : self->list[self->count + 1 - stage].index;
}

bool
rmt_tables_next_copy(rmt_tables_t *self, const rmt_id_t *id, rmt_copies_t *copies,
                     rmt_copy_t *copy_out)
{
    for (;;) {
        rmt_index_t *index = s_stage_index(self, copies->stage);
        while (copies->left > 0) {
            copies->left--;
            if (!rmt_index_slot(index, copies->next++, &copy_out->slot))
                continue;
            copy_out->pack = rmt_index_pack_name(index, copy_out->slot.pack);
            copy_out->flags = &rmt_index_flags(index)[copy_out->slot.pack];
            return true;
        }
        if (copies->stage > self->count)
            return false;
        index = s_stage_index(self, ++copies->stage);
        copies->left = index ? rmt_index_find(index, id, &copies->next) : 0;
    }
}

// ---- Merging

static int
s_publish_merged(rmt_tables_t *self, const char *temporary, const rmt_file_name_t *name,
                 rmt_error_t *error)
{
    rmt_auto_str path = rmt_file_name_path(self->root, "index", name);
    if (RMT_FAILPOINT("store.merge.rename") == -1 || rename(temporary, path) == -1)
        return rmt_fail_errno(error, "publish %s", path);
    return rmt_io_sync_parent(path, error);
}

// Replace some of the indexes by one without DOOMED packs.
static int
s_merge(rmt_tables_t *self, const size_t *chosen, size_t count, rmt_error_t *error)
{
    rmt_index_t **indexes = calloc(count + 1, sizeof(rmt_index_t *));
    if (!indexes)
        abort();
    for (size_t i = 0; i < count; i++) {
        indexes[i] = self->list[chosen[i]].index;
        assert(indexes[i]);
    }
    const rmt_file_name_t name = rmt_file_name_new();
    char text[RMT_FILE_TEXT_SIZE];
    rmt_auto_str temporary =
        rmt_text("%s/index/%s.new", self->root, rmt_file_name_text(&name, text));
    uint32_t pack_count = 0;
    int result = rmt_index_merge(indexes, count, temporary, &pack_count, error);
    if (result == 0 && pack_count > 0)
        result = s_publish_merged(self, temporary, &name, error);
    free(indexes);
    if (result == -1) {
        (void) unlink(temporary);
        return -1;
    }
    // The new one is durable; only now may the old ones go.
    for (size_t i = 0; i < count; i++) {
        rmt_auto_str old =
            rmt_file_name_path(self->root, "index", &self->list[chosen[i]].name);
        if ((RMT_FAILPOINT("store.merge.remove") == -1 || unlink(old) == -1) &&
            errno != ENOENT)
            return rmt_fail_errno(error, "remove %s", old);
    }
    return rmt_tables_refresh(self, error);
}

// Small ones first: each is taken while it is not bigger than twice all before it, so
// that a slot is rewritten a logarithmic number of times.
static size_t
s_choose_small(const rmt_tables_t *self, size_t *chosen)
{
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++) {
        if (!self->list[i].index)
            continue;
        const uint64_t size = rmt_index_count(self->list[i].index);
        size_t at = count++;
        for (; at > 0 && rmt_index_count(self->list[chosen[at - 1]].index) > size; at--)
            chosen[at] = chosen[at - 1];
        chosen[at] = i;
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        const uint64_t size = rmt_index_count(self->list[chosen[i]].index);
        if (i >= TABLES_MAX / 2 && size > 2 * sum)
            return i;
        sum += size;
    }
    return count;
}

int
rmt_tables_tidy(rmt_tables_t *self, rmt_error_t *error)
{
    if (self->count <= TABLES_MAX)
        return 0;
    rmt_error_t why;
    rmt_auto_fd lock = rmt_lock_take(self->root, RMT_LOCK_INDEX, LOCK_EX | LOCK_NB, &why);
    if (lock == -1 && why.code == RMT_E_UNAVAILABLE)
        return 0;
    if (lock == -1) {
        *error = why;
        return -1;
    }
    // Under the lock: an index that gc has replaced must not come back by a merge.
    if (rmt_tables_refresh(self, error) == -1)
        return -1;
    size_t *chosen = calloc(self->count + 1, sizeof *chosen);
    if (!chosen)
        abort();
    const size_t count = s_choose_small(self, chosen);
    const int result = count > TABLES_MAX / 2 ? s_merge(self, chosen, count, error) : 0;
    free(chosen);
    return result;
}

// ---- Packs that go

bool
rmt_tables_flag_pack(rmt_tables_t *self, const rmt_file_name_t *name, uint8_t flag)
{
    bool is_listed = false;
    for (size_t i = 0; i < self->count; i++) {
        rmt_index_t *index = self->list[i].index;
        for (uint32_t at = 0; index && at < rmt_index_pack_count(index); at++) {
            const rmt_file_name_t listed = rmt_index_pack_name(index, at);
            if (rmt_file_name_compare(&listed, name) != 0)
                continue;
            rmt_index_flags(index)[at] |= flag;
            is_listed = true;
        }
    }
    return is_listed;
}

int
rmt_tables_drop_doomed(rmt_tables_t *self, rmt_error_t *error)
{
    size_t *chosen = calloc(self->count + 1, sizeof *chosen);
    if (!chosen)
        abort();
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++)
        if (self->list[i].index)
            chosen[count++] = i;
    const int result = s_merge(self, chosen, count, error);
    free(chosen);
    return result;
}

// ---- Repair

static int
s_adopt_file(rmt_tables_t *self, rmt_error_t *error)
{
    const rmt_file_name_t name = rmt_file_name_new();
    rmt_auto_str path = rmt_file_name_path(self->root, "index", &name);
    rmt_auto_str temporary = rmt_text("%s.new", path);
    uint32_t count = 0;
    if (s_adopt(self, temporary, NULL, &count, error) == -1) {
        (void) unlink(temporary);
        return -1;
    }
    if (count == 0)
        return 0;
    if (RMT_FAILPOINT("store.index.adopt") == -1 || rename(temporary, path) == -1)
        return rmt_fail_errno(error, "publish %s", path);
    return rmt_io_sync_parent(path, error);
}

int
rmt_tables_repair(rmt_tables_t *self, rmt_error_t *error)
{
    if (s_adopt_file(self, error) == -1)
        return -1;
    for (size_t i = 0; i < self->count; i++) {
        if (self->list[i].index)
            continue;
        rmt_auto_str path = rmt_file_name_path(self->root, "index", &self->list[i].name);
        if ((RMT_FAILPOINT("store.index.remove-damaged") == -1 || unlink(path) == -1) &&
            errno != ENOENT)
            return rmt_fail_errno(error, "remove damaged index %s", path);
    }
    return rmt_tables_refresh(self, error);
}
