#include "tree/rmt_converge.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "base/rmt_io.h"
#include "base/rmt_random.h"
#include "tree/rmt_beneath.h"
#include "tree/rmt_glob.h"
#include "tree/rmt_links.h"
#include "tree/rmt_make.h"
#include "tree/rmt_meta.h"
#include "tree/rmt_names.h"
#include "tree/rmt_old_tree.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// Open folders below the current one.
#define OPEN_LEVELS 64
#define TEMPORARY_SIZE 40

typedef struct {
    rmt_folder_t *folder;
    rmt_names_t names; // What stood in it; marked when the manifest has it
    size_t next;       // The first that has not been looked at, when it is left
    size_t path_size;
    bool is_extra;   // The manifest lacks it
    bool differs;    // Its attributes do
    bool is_touched; // And its flags may forbid that no longer
    uint32_t flags;  // What they were
    bool holds_kept;
} s_level_t;

// An inode whose lock flags come back at the end, when all its names are there.
typedef struct {
    char *path;
    uint32_t flags;
} s_locked_t;

struct rmt_converge {
    rmt_converge_options_t options;
    rmt_old_tree_t survey;
    rmt_chunk_source_fn *contents;
    void *contents_context;
    char temporary[TEMPORARY_SIZE];
    s_level_t *levels;
    size_t depth, levels_room;
    size_t shed; // So many behind the root have no descriptor
    char *at;    // Path of the deepest folder that was entered last
    size_t at_room;
    rmt_links_t *links; // First names, by {0, group}
    s_locked_t *locked;
    size_t locked_count, locked_room;
    uint8_t *plain; // RMT_CHUNK_PLAIN_MAX
    rmt_converge_report_t done;
};

static s_level_t *
s_top(rmt_converge_t *self)
{
    assert(self->depth);
    return &self->levels[self->depth - 1];
}

static const char *
s_name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// ---- What forbids changes

// Before the first change in a folder: its flags may forbid it, or that an inode of
// another project is linked in it. Its attributes are set when it is left.
static int
s_touch(s_level_t *level, rmt_error_t *error)
{
    if (level->is_touched)
        return 0;
    level->is_touched = true;
    return rmt_meta_unlock(rmt_folder_fd(level->folder), &level->flags, error);
}

static int
s_drop_name(s_level_t *level, const char *name, const char *from, rmt_error_t *error)
{
    if (s_touch(level, error) == -1)
        return -1;
    return rmt_names_drop(rmt_folder_fd(level->folder), name, from, error);
}

// ---- Levels

// Takes folder.
static int
s_push(rmt_converge_t *self, rmt_folder_t *folder, const char *path, size_t path_size,
       rmt_error_t *error)
{
    rmt_grow(&self->levels, &self->levels_room, self->depth + 1);
    s_level_t *level = &self->levels[self->depth++];
    *level = (s_level_t){.folder = folder, .path_size = path_size};
    rmt_grow(&self->at, &self->at_room, path_size + 1);
    if (path != self->at)
        memcpy(self->at, path, path_size);
    self->at[path_size] = '\0';
    while (self->shed + 1 + OPEN_LEVELS < self->depth &&
           rmt_folder_shed(self->levels[self->shed + 1].folder))
        self->shed++;
    return rmt_names_read(&level->names, rmt_folder_fd(folder), error);
}

static int
s_wrap_at(const rmt_converge_t *self, rmt_error_t *error)
{
    return rmt_make_wrap(&(rmt_entry_t){.path = self->at}, error);
}

// Of a folder that the manifest lacks: a locked one cannot be removed, and one that stays
// for what is kept in it is locked again.
static int
s_end_extra(s_level_t *level, rmt_error_t *error)
{
    if (!level->holds_kept)
        return s_touch(level, error);
    const rmt_entry_t entry = {.mode = S_IFDIR, .flags = level->flags & RMT_META_FLAGS};
    return level->is_touched ? rmt_meta_apply(rmt_folder_fd(level->folder), &entry,
                                              RMT_META_ONLY_FLAGS, error)
                             : 0;
}

static int
s_remove_folder(rmt_converge_t *self, s_level_t *above, const char *name,
                rmt_error_t *error)
{
    self->done.removed++;
    if (s_touch(above, error) == -1)
        return -1;
    return unlinkat(rmt_folder_fd(above->folder), name, AT_REMOVEDIR) == -1
               ? rmt_fail_errno(error, "remove the folder")
               : 0;
}

static int
s_pop(rmt_converge_t *self, bool apply, rmt_error_t *error)
{
    s_level_t level = self->levels[--self->depth];
    s_level_t *above = self->depth ? &self->levels[self->depth - 1] : NULL;
    int result = 0;
    if (apply && self->depth > 1 && self->shed == self->depth - 1) {
        result = rmt_folder_reopen(above->folder, level.folder, error);
        self->shed--;
    }
    if (apply && result == 0 && level.is_extra)
        result = s_end_extra(&level, error);
    const bool is_set = !level.is_extra && (level.differs || level.is_touched);
    if (rmt_folder_drop(level.folder, apply && is_set && result == 0, error) == -1)
        result = -1;
    rmt_names_free(&level.names);
    if (!apply || result == -1 || !above)
        return result;
    self->at[level.path_size] = '\0';
    if (level.is_extra && !level.holds_kept &&
        s_remove_folder(self, above, s_name_of(self->at), error) == -1)
        result = s_wrap_at(self, error);
    above->holds_kept |= level.holds_kept;
    self->at[above->path_size] = '\0';
    return result;
}

// A name that stands in the top folder and that the manifest lacks.
static int
s_remove_name(rmt_converge_t *self, const char *name, rmt_error_t *error)
{
    s_level_t *level = s_top(self);
    struct stat status;
    rmt_auto_str path =
        level->path_size ? rmt_text("%s/%s", self->at, name) : rmt_text("%s", name);
    const rmt_entry_t entry = {.path = path, .path_size = strlen(path)};
    if (rmt_glob_match(self->options.keeps, path)) {
        level->holds_kept = true;
        return 0;
    }
    if (fstatat(rmt_folder_fd(level->folder), name, &status, AT_SYMLINK_NOFOLLOW) == -1) {
        rmt_fail_errno(error, "look at it");
        return rmt_make_wrap(&entry, error);
    }
    if (!S_ISDIR(status.st_mode)) {
        self->done.removed++;
        return s_drop_name(level, name, NULL, error) == -1 ? rmt_make_wrap(&entry, error)
                                                           : 0;
    }
    rmt_folder_t *folder = rmt_folder_open(level->folder, &entry, error);
    if (!folder || s_push(self, folder, path, entry.path_size, error) == -1)
        return -1;
    s_top(self)->is_extra = true;
    return 0;
}

// Leave the top folder, when what the manifest lacks in it is gone.
static int
s_leave(rmt_converge_t *self, rmt_error_t *error)
{
    const size_t depth = self->depth;
    while (self->depth >= depth) {
        s_level_t *level = s_top(self);
        if (level->next == level->names.count) {
            if (s_pop(self, true, error) == -1)
                return -1;
            continue;
        }
        const rmt_name_t *name = &level->names.items[level->next++];
        if (!name->is_marked && s_remove_name(self, name->text, error) == -1)
            return -1;
    }
    return 0;
}

static int
s_go_to_parent(rmt_converge_t *self, const rmt_entry_t *entry, rmt_error_t *error)
{
    const char *slash = memrchr(entry->path, '/', entry->path_size);
    const size_t size = slash ? (size_t) (slash - entry->path) : 0;
    while (self->depth) {
        const size_t last = s_top(self)->path_size;
        if (last == size && memcmp(self->at, entry->path, last) == 0)
            return 0;
        if (s_leave(self, error) == -1)
            return -1;
    }
    rmt_fail(error, RMT_E_CORRUPT, "its folder is missing");
    return rmt_make_wrap(entry, error);
}

// ---- One inode

static int
s_read_chunk(rmt_converge_t *self, const rmt_id_t *id, size_t *size_out,
             rmt_error_t *error)
{
    if (rmt_olds_read(self->survey.olds, id, self->plain, size_out))
        return 0;
    if (self->contents(self->contents_context, id, self->plain, size_out, error) == -1)
        return -1;
    self->done.fetched += *size_out;
    return 0;
}

static int
s_write_contents(rmt_converge_t *self, const rmt_entry_t *entry, int fd,
                 rmt_error_t *error)
{
    rmt_extent_t whole;
    rmt_runs_t runs = rmt_make_runs(entry, &whole);
    uint64_t position = 0;
    for (size_t i = 0; i < entry->chunk_count; i++) {
        size_t size;
        if (s_read_chunk(self, &entry->chunks[i], &size, error) == -1)
            return -1;
        if (size != entry->chunk_sizes[i])
            return rmt_fail(error, RMT_E_CORRUPT, "a chunk of %zu bytes, %u are right",
                            size, entry->chunk_sizes[i]);
        if (rmt_runs_pwrite(&runs, fd, position, self->plain, size, error) == -1)
            return -1;
        position += size;
    }
    self->done.size += position;
    return 0;
}

static void
s_lock_later(rmt_converge_t *self, const char *path, uint32_t flags)
{
    rmt_grow(&self->locked, &self->locked_room, self->locked_count + 1);
    self->locked[self->locked_count++] =
        (s_locked_t){rmt_text("%s", path), flags & RMT_META_FLAGS};
}

// Write it under the temporary name, and let it take its own.
static int
s_make_inode(rmt_converge_t *self, const rmt_entry_t *entry, rmt_error_t *error)
{
    s_level_t *level = s_top(self);
    rmt_entry_t made = *entry;
    made.path = self->temporary;
    made.path_size = strlen(made.path);
    // A locked inode gets no other name.
    made.flags &= ~RMT_META_LOCK_FLAGS;
    rmt_auto_fd fd = rmt_make_open(level->folder, &made, error);
    if (fd == -1 || s_write_contents(self, entry, fd, error) == -1 ||
        rmt_make_finish(level->folder, fd, &made, error) == -1 ||
        s_drop_name(level, s_name_of(entry->path), self->temporary, error) == -1)
        return -1;
    if (entry->flags & RMT_META_LOCK_FLAGS)
        s_lock_later(self, entry->path, entry->flags);
    return 0;
}

static int
s_link_to(rmt_converge_t *self, const char *first, int folder_fd, rmt_error_t *error)
{
    rmt_auto_fd fd = rmt_beneath_open(self->options.tree_fd, first, O_PATH, 0);
    if (fd == -1)
        return rmt_fail_errno(error, "find its first name");
    if (linkat(fd, "", folder_fd, self->temporary, AT_EMPTY_PATH) == 0)
        return 0;
    if (errno != EPERM)
        return rmt_fail_errno(error, "link");
    rmt_auto_fd file =
        rmt_beneath_open(self->options.tree_fd, first, O_RDONLY | O_NONBLOCK, 0);
    if (file == -1)
        return rmt_fail_errno(error, "open its first name to unlock it");
    uint32_t flags;
    if (rmt_meta_unlock(file, &flags, error) == -1)
        return -1;
    if (linkat(fd, "", folder_fd, self->temporary, AT_EMPTY_PATH) == -1)
        return rmt_fail_errno(error, "link");
    s_lock_later(self, first, flags);
    return 0;
}

static int
s_make_link(rmt_converge_t *self, const rmt_entry_t *entry, rmt_error_t *error)
{
    const rmt_hard_link_t *link = rmt_links_find(self->links, 0, entry->link_group);
    if (!link)
        return rmt_fail(error, RMT_E_CORRUPT, "link group %llu has no first member",
                        (unsigned long long) entry->link_group);
    s_level_t *level = s_top(self);
    const int folder_fd = rmt_folder_fd(level->folder);
    if (s_link_to(self, link->path, folder_fd, error) == -1)
        return -1;
    return s_drop_name(level, s_name_of(entry->path), self->temporary, error);
}

// Of a file whose contents are right.
static int
s_change_inode(rmt_converge_t *self, const rmt_entry_t *entry, rmt_error_t *error)
{
    const char *name = s_name_of(entry->path);
    rmt_auto_fd fd = rmt_beneath_open(rmt_folder_fd(s_top(self)->folder), name,
                                      O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    struct stat status;
    if (fd == -1 || fstat(fd, &status) == -1)
        return rmt_fail_errno(error, "open");
    if ((status.st_mode ^ entry->mode) & S_IFMT)
        return rmt_fail(error, RMT_E_IO, "was exchanged while the tree was written");
    uint32_t flags;
    if (rmt_meta_unlock(fd, &flags, error) == -1)
        return -1;
    return rmt_meta_apply(fd, entry, RMT_META_EXACT, error);
}

// ---- Entries

// What stands where something new is to be made: a folder goes with all that it holds,
// and before a folder everything else. 1 when a folder stands that can stay.
static int
s_make_room(rmt_converge_t *self, const rmt_entry_t *entry, rmt_error_t *error)
{
    s_level_t *level = s_top(self);
    const char *name = s_name_of(entry->path);
    struct stat status;
    if (s_touch(level, error) == -1)
        return -1;
    if (fstatat(rmt_folder_fd(level->folder), name, &status, AT_SYMLINK_NOFOLLOW) == -1)
        return errno == ENOENT ? 0 : rmt_fail_errno(error, "look at it");
    if (S_ISDIR(status.st_mode) && S_ISDIR(entry->mode))
        return 1;
    if (!S_ISDIR(status.st_mode))
        return S_ISDIR(entry->mode) ? s_drop_name(level, name, NULL, error) : 0;
    const size_t depth = self->depth;
    if (s_remove_name(self, name, error) == -1 ||
        (self->depth > depth && s_leave(self, error) == -1))
        return -1;
    if (fstatat(rmt_folder_fd(s_top(self)->folder), name, &status, AT_SYMLINK_NOFOLLOW) ==
        0)
        return rmt_fail(error, RMT_E_EXISTS,
                        "is a folder with files that are kept, and the image has "
                        "something else there");
    return 0;
}

static int
s_enter_folder(rmt_converge_t *self, const rmt_entry_t *entry,
               rmt_old_tree_verdict_t verdict, rmt_error_t *error)
{
    rmt_folder_t *folder = NULL;
    int stands = 1;
    if (!self->depth) {
        folder = rmt_folder_new_root(self->options.tree_fd, entry, error);
    } else {
        if (verdict == RMT_OLD_TREE_MAKE)
            stands = s_make_room(self, entry, error);
        if (stands == -1)
            return -1;
        folder = (stands ? rmt_folder_open : rmt_folder_new)(s_top(self)->folder, entry,
                                                             error);
    }
    if (!folder || s_push(self, folder, entry->path, entry->path_size, error) == -1)
        return -1;
    s_top(self)->differs = verdict != RMT_OLD_TREE_SAME;
    // Its own attributes are locked as its names are.
    return s_top(self)->differs ? s_touch(s_top(self), error) : 0;
}

static int
s_do_inode(rmt_converge_t *self, const rmt_entry_t *entry, rmt_old_tree_verdict_t verdict,
           rmt_error_t *error)
{
    if (entry->link_group && entry->link_first &&
        !rmt_links_find(self->links, 0, entry->link_group))
        rmt_links_add(self->links, 0, entry->link_group, entry->path, entry->path_size);
    if (verdict == RMT_OLD_TREE_SAME)
        return 0;
    if (verdict == RMT_OLD_TREE_CHANGE)
        return s_change_inode(self, entry, error);
    if (s_make_room(self, entry, error) == -1)
        return -1;
    const int result = verdict == RMT_OLD_TREE_LINK ? s_make_link(self, entry, error)
                                                    : s_make_inode(self, entry, error);
    // What did not take its name takes space, which may be what was missing.
    if (result == -1)
        (void) unlinkat(rmt_folder_fd(s_top(self)->folder), self->temporary, 0);
    return result;
}

static int
s_entry(rmt_converge_t *self, const rmt_entry_t *entry, rmt_old_tree_verdict_t verdict,
        rmt_error_t *error)
{
    // Names that are kept are left alone when their folder is left.
    if (verdict == RMT_OLD_TREE_KEPT)
        return 0;
    if (entry->path_size) {
        if (s_go_to_parent(self, entry, error) == -1)
            return -1;
        rmt_names_mark(&s_top(self)->names, s_name_of(entry->path));
    }
    self->done.same += verdict == RMT_OLD_TREE_SAME;
    self->done.changed += verdict == RMT_OLD_TREE_CHANGE;
    self->done.made += verdict == RMT_OLD_TREE_MAKE || verdict == RMT_OLD_TREE_LINK;
    if (S_ISDIR(entry->mode))
        return s_enter_folder(self, entry, verdict, error);
    if (s_do_inode(self, entry, verdict, error) == -1)
        return rmt_make_wrap(entry, error);
    return 0;
}

static int
s_lock(rmt_converge_t *self, rmt_error_t *error)
{
    for (size_t i = 0; i < self->locked_count; i++) {
        const s_locked_t *locked = &self->locked[i];
        const rmt_entry_t entry = {
            .path = locked->path, .mode = S_IFREG, .flags = locked->flags};
        rmt_auto_fd fd = rmt_beneath_open(self->options.tree_fd, locked->path,
                                          O_RDONLY | O_NONBLOCK, 0);
        if (fd == -1) {
            rmt_fail_errno(error, "open");
            return rmt_make_wrap(&entry, error);
        }
        if (rmt_meta_apply(fd, &entry, RMT_META_ONLY_FLAGS, error) == -1)
            return rmt_make_wrap(&entry, error);
    }
    return 0;
}

static int
s_run(rmt_converge_t *self, rmt_error_t *error)
{
    const rmt_converge_options_t *options = &self->options;
    rmt_auto(rmt_manifest_reader) reader = rmt_manifest_reader_new(
        options->root, options->source, options->source_context, error);
    rmt_entry_t entry;
    int more = reader ? 1 : -1;
    for (size_t i = 0; more == 1; i++) {
        if (options->cancelled_fn && options->cancelled_fn(options->context))
            return rmt_fail(error, RMT_E_CANCELLED, "cancelled");
        more = rmt_manifest_reader_next(reader, &entry, error);
        if (more == 1 && i == self->survey.count)
            return rmt_fail(error, RMT_E_CORRUPT, "the manifest has become longer");
        if (more == 1 && s_entry(self, &entry, self->survey.verdicts[i], error) == -1)
            return -1;
    }
    while (more == 0 && self->depth)
        if (s_leave(self, error) == -1)
            return -1;
    return more == 0 ? s_lock(self, error) : -1;
}

int
rmt_converge_run(rmt_converge_t *self, rmt_chunk_source_fn *contents,
                 void *contents_context, rmt_converge_report_t *report_out,
                 rmt_error_t *error)
{
    assert(!self->plain);
    self->contents = contents;
    self->contents_context = contents_context;
    self->links = rmt_links_new();
    self->plain = malloc(RMT_CHUNK_PLAIN_MAX);
    assert(self->plain);
    const mode_t before = umask(0);
    const int result = s_run(self, error);
    umask(before);
    if (result == 0) {
        self->done.kept = self->survey.plan.kept;
        *report_out = self->done;
    }
    return result;
}

// ---- Life

rmt_converge_t *
rmt_converge_new(const rmt_converge_options_t *options, rmt_error_t *error)
{
    rmt_auto(rmt_converge) self = calloc(1, sizeof *self);
    assert(self);
    self->options = *options;
    char random[17];
    snprintf(self->temporary, sizeof self->temporary, ".ramet-converge-%s",
             rmt_random_hex(random, 8));
    if (rmt_old_tree_read(&self->survey, &self->options, error) == -1)
        return NULL;
    return rmt_take(&self);
}

void
rmt_converge_destroy(rmt_converge_t **self_p)
{
    rmt_converge_t *self = *self_p;
    if (!self)
        return;
    rmt_error_t ignored = {0};
    while (self->depth)
        s_pop(self, false, &ignored);
    for (size_t i = 0; i < self->locked_count; i++)
        free(self->locked[i].path);
    free(self->locked);
    free(self->levels);
    free(self->at);
    if (self->links)
        rmt_links_destroy(&self->links);
    free(self->plain);
    rmt_old_tree_free(&self->survey);
    free(self);
    *self_p = NULL;
}

const rmt_converge_report_t *
rmt_converge_plan(const rmt_converge_t *self)
{
    return &self->survey.plan;
}

size_t
rmt_converge_kept(const rmt_converge_t *self, size_t glob)
{
    return self->survey.kept_counts[glob];
}

rmt_id_t *
rmt_converge_missing(const rmt_converge_t *self, size_t *count_out)
{
    return rmt_olds_missing(self->survey.olds, count_out);
}
