#include "tree/rmt_old_tree.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "tree/rmt_capture_item.h"
#include "tree/rmt_contents.h"
#include "tree/rmt_copy.h"
#include "tree/rmt_glob.h"
#include "tree/rmt_make.h"
#include "tree/rmt_meta.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

// What the group of a first member has in the old tree, in made_inode: this, or an inode.
#define GROUP_IS_NEW 0
#define GROUP_IS_KEPT UINT64_MAX

typedef struct {
    rmt_old_tree_t *out;
    const rmt_converge_options_t *options;
    rmt_manifest_reader_t *reader;
    rmt_entry_t entry;
    bool has_entry;
    rmt_walk_t *walk;
    rmt_capture_item_t *item; // NULL at the end
    rmt_links_t *groups;      // Of the manifest, by {0, group}
    rmt_links_t *inodes; // Of the tree, with several names: made_inode is its group's, or
                         // 0 for an entry without one
    char **kept;         // Paths that a glob kept, in order
    size_t kept_count, kept_room;
    void *buffer, *other; // RMT_CHUNK_PLAIN_MAX each
} s_survey_t;

// ---- Kept names

static void
s_on_kept(void *context, const char *path)
{
    s_survey_t *self = context;
    rmt_grow(&self->kept, &self->kept_room, self->kept_count + 1);
    self->kept[self->kept_count] = strdup(path);
    assert(self->kept[self->kept_count]);
    self->kept_count++;
    self->out->plan.kept++;
    const char *const *keeps = self->options->keeps;
    for (size_t i = 0; keeps[i]; i++)
        if (rmt_glob_match((const char *const[]){keeps[i], NULL}, path))
            self->out->kept_counts[i]++;
}

static bool
s_stands(const s_survey_t *self, const char *path, size_t size)
{
    size_t from = 0, to = self->kept_count;
    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        const char *kept = self->kept[middle];
        const int order = rmt_path_compare(path, size, kept, strlen(kept));
        if (order == 0)
            return true;
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return false;
}

// The entry, or a folder above it, was found in the tree and is kept. All of the tree
// that comes before the entry has been walked.
static bool
s_is_kept(const s_survey_t *self, const rmt_entry_t *entry)
{
    if (!rmt_glob_match_any(self->options->keeps, entry->path))
        return false;
    for (size_t i = 1; i <= entry->path_size; i++)
        if ((i == entry->path_size || entry->path[i] == '/') &&
            s_stands(self, entry->path, i))
            return true;
    return false;
}

// ---- One inode

static bool
s_has_same_contents(s_survey_t *self, rmt_contents_t *contents, const rmt_extents_t *runs)
{
    const rmt_entry_t *entry = &self->entry;
    if (!rmt_contents_same_runs(&contents->expected, runs, RMT_CONTENTS_BLOCK,
                                entry->size))
        return false;
    contents->found_fd = rmt_take_fd(&self->item->fd);
    contents->chunks =
        rmt_copy_bytes(entry->chunks, entry->chunk_count * sizeof(rmt_id_t));
    contents->chunk_sizes =
        rmt_copy_bytes(entry->chunk_sizes, entry->chunk_count * sizeof(uint32_t));
    contents->chunk_count = entry->chunk_count;
    for (size_t i = 0; i < runs->count; i++)
        rmt_extents_add(&contents->found, runs->items[i].offset, runs->items[i].size);
    if (contents->expected.count || runs->count)
        rmt_contents_check(contents, self->buffer, self->other);
    return !contents->is_different;
}

static bool
s_is_same_file(s_survey_t *self)
{
    const rmt_entry_t *entry = &self->entry;
    const rmt_capture_item_t *item = self->item;
    const uint64_t size = entry->unreadable ? 0 : entry->size;
    if (size != item->entry.size || !rmt_meta_is_born_equal(entry, &item->entry))
        return false;
    rmt_extents_t reserved = {0};
    for (size_t i = 0; i < entry->reserved_count; i++)
        rmt_extents_add(&reserved, entry->reserved[i].offset, entry->reserved[i].size);
    const bool is_reserved = rmt_contents_same_runs(&reserved, &item->reserved,
                                                    RMT_CONTENTS_BLOCK, UINT64_MAX);
    rmt_extents_free(&reserved);
    rmt_contents_t *contents = rmt_contents_new(entry->path);
    rmt_extent_t whole;
    const rmt_runs_t runs = rmt_make_runs(entry, &whole);
    for (size_t i = 0; size && i < runs.count; i++)
        rmt_extents_add(&contents->expected, runs.items[i].offset, runs.items[i].size);
    const bool same = is_reserved && s_has_same_contents(self, contents, &item->runs);
    rmt_contents_destroy(&contents);
    return same;
}

// An old inode belongs to one entry, or to one group.
static bool
s_claim(s_survey_t *self)
{
    const struct stat *status = &self->item->status;
    const rmt_entry_t *entry = &self->entry;
    if (rmt_links_find(self->inodes, status->st_dev, status->st_ino))
        return false;
    rmt_links_add(self->inodes, status->st_dev, status->st_ino, entry->path,
                  entry->path_size);
    return true;
}

static rmt_old_tree_verdict_t
s_judge_inode(s_survey_t *self)
{
    const rmt_entry_t *entry = &self->entry;
    const bool is_shared = self->item->status.st_nlink > 1;
    if (S_ISREG(entry->mode) && !s_is_same_file(self))
        return RMT_OLD_TREE_MAKE;
    const bool same = rmt_meta_is_equal(entry, &self->item->entry);
    // The other names of the inode may be another entry's, or kept.
    if (!same && (is_shared || !S_ISREG(entry->mode)))
        return RMT_OLD_TREE_MAKE;
    if (is_shared && !s_claim(self))
        return RMT_OLD_TREE_MAKE;
    return same ? RMT_OLD_TREE_SAME : RMT_OLD_TREE_CHANGE;
}

static int
s_judge_folder(s_survey_t *self, rmt_old_tree_verdict_t *verdict_out, rmt_error_t *error)
{
    const rmt_entry_t *found = &self->item->entry;
    if (self->item->is_unreadable) {
        rmt_fail(error, self->item->why, "%s", self->item->reason);
        return rmt_make_wrap(&self->entry, error);
    }
    if ((self->entry.flags ^ found->flags) & FS_CASEFOLD_FL) {
        rmt_fail(error, RMT_E_UNSUPPORTED,
                 "the image %s names of any case, and the folder here does not: remove "
                 "it and its files, then do this again",
                 self->entry.flags & FS_CASEFOLD_FL ? "folds" : "does not fold");
        return rmt_make_wrap(&self->entry, error);
    }
    *verdict_out =
        rmt_meta_is_equal(&self->entry, found) ? RMT_OLD_TREE_SAME : RMT_OLD_TREE_CHANGE;
    return 0;
}

// ---- Entries

static void
s_begin_group(s_survey_t *self, uint64_t inode)
{
    const rmt_entry_t *entry = &self->entry;
    if (!entry->link_group || !entry->link_first ||
        rmt_links_find(self->groups, 0, entry->link_group))
        return;
    rmt_hard_link_t *group =
        rmt_links_add(self->groups, 0, entry->link_group, entry->path, entry->path_size);
    group->made_inode = inode;
    group->made_device = self->item ? self->item->status.st_dev : 0;
}

// A further name. item: what has it in the tree, or NULL.
static int
s_judge_link(s_survey_t *self, const rmt_capture_item_t *item,
             rmt_old_tree_verdict_t *verdict_out, rmt_error_t *error)
{
    const rmt_hard_link_t *group =
        rmt_links_find(self->groups, 0, self->entry.link_group);
    if (!group)
        rmt_fail(error, RMT_E_CORRUPT, "link group %llu has no first member",
                 (unsigned long long) self->entry.link_group);
    else if (group->made_inode == GROUP_IS_KEPT)
        rmt_fail(error, RMT_E_UNSUPPORTED,
                 "the image links it to /%.200s, which is kept: keep both, or none",
                 group->path);
    if (!group || group->made_inode == GROUP_IS_KEPT)
        return rmt_make_wrap(&self->entry, error);
    const bool same = item && group->made_inode != GROUP_IS_NEW &&
                      group->made_inode == item->status.st_ino &&
                      group->made_device == item->status.st_dev;
    *verdict_out = same ? RMT_OLD_TREE_SAME : RMT_OLD_TREE_LINK;
    return 0;
}

static void
s_note(s_survey_t *self, rmt_old_tree_verdict_t verdict)
{
    rmt_old_tree_t *out = self->out;
    rmt_grow(&out->verdicts, &out->room, out->count + 1);
    out->verdicts[out->count++] = (uint8_t) verdict;
    out->plan.same += verdict == RMT_OLD_TREE_SAME;
    out->plan.changed += verdict == RMT_OLD_TREE_CHANGE;
    out->plan.made += verdict == RMT_OLD_TREE_MAKE || verdict == RMT_OLD_TREE_LINK;
    if (verdict != RMT_OLD_TREE_MAKE)
        return;
    out->plan.size += rmt_copy_data_size(&self->entry);
    rmt_olds_want(out->olds, &self->entry);
}

static bool
s_is_further(const rmt_entry_t *entry)
{
    return entry->link_group && !entry->link_first;
}

// The tree lacks it.
static int
s_missing(s_survey_t *self, rmt_error_t *error)
{
    rmt_old_tree_verdict_t verdict = RMT_OLD_TREE_MAKE;
    if (s_is_kept(self, &self->entry)) {
        verdict = RMT_OLD_TREE_KEPT;
        s_begin_group(self, GROUP_IS_KEPT);
    } else if (s_is_further(&self->entry)) {
        if (s_judge_link(self, NULL, &verdict, error) == -1)
            return -1;
    } else {
        s_begin_group(self, GROUP_IS_NEW);
    }
    s_note(self, verdict);
    return 0;
}

static int
s_pair(s_survey_t *self, rmt_error_t *error)
{
    const rmt_entry_t *entry = &self->entry;
    const rmt_capture_item_t *item = self->item;
    const bool is_other = (entry->mode ^ item->entry.mode) & S_IFMT;
    rmt_old_tree_verdict_t verdict = RMT_OLD_TREE_MAKE;
    if (s_is_further(entry)) {
        if (s_judge_link(self, item, &verdict, error) == -1)
            return -1;
    } else if (!is_other && S_ISDIR(entry->mode)) {
        if (s_judge_folder(self, &verdict, error) == -1)
            return -1;
    } else {
        if (!is_other && !item->is_unreadable)
            verdict = s_judge_inode(self);
        s_begin_group(self,
                      verdict == RMT_OLD_TREE_MAKE ? GROUP_IS_NEW : item->status.st_ino);
    }
    s_note(self, verdict);
    if (verdict == RMT_OLD_TREE_MAKE && S_ISREG(item->status.st_mode))
        rmt_olds_add(self->out->olds, item->path, true);
    return 0;
}

static void
s_extra(s_survey_t *self)
{
    self->out->plan.removed++;
    if (S_ISREG(self->item->status.st_mode))
        rmt_olds_add(self->out->olds, self->item->path, false);
}

// ---- Both sides

static int
s_next_entry(s_survey_t *self, rmt_error_t *error)
{
    const int more = rmt_manifest_reader_next(self->reader, &self->entry, error);
    self->has_entry = more == 1;
    return more == -1 ? -1 : 0;
}

static int
s_next_item(s_survey_t *self, rmt_error_t *error)
{
    for (;;) {
        rmt_capture_item_destroy(&self->item);
        rmt_walk_item_t found;
        const int more = rmt_walk_next(self->walk, &found, error);
        if (more != 1)
            return more;
        if (found.is_mount)
            return rmt_fail(error, RMT_E_EXISTS,
                            "something is mounted at /%.400s: unmount it, or keep it",
                            found.path);
        self->item = rmt_capture_item_new(&found);
        rmt_capture_item_open(self->item);
        if (!self->item->is_vanished)
            return 0;
    }
}

static int
s_step(s_survey_t *self, rmt_error_t *error)
{
    const rmt_entry_t *a = self->has_entry ? &self->entry : NULL;
    const rmt_entry_t *b = self->item ? &self->item->entry : NULL;
    const int order =
        !a   ? 1
        : !b ? -1
             : rmt_path_compare(a->path, a->path_size, b->path, b->path_size);
    if (order > 0)
        s_extra(self);
    else if ((order < 0 ? s_missing(self, error) : s_pair(self, error)) == -1)
        return -1;
    if (order <= 0 && s_next_entry(self, error) == -1)
        return -1;
    return order >= 0 ? s_next_item(self, error) : 0;
}

static int
s_check_cancelled(const rmt_converge_options_t *options, rmt_error_t *error)
{
    if (options->cancelled_fn && options->cancelled_fn(options->context))
        return rmt_fail(error, RMT_E_CANCELLED, "cancelled");
    return 0;
}

static int
s_merge(s_survey_t *self, rmt_error_t *error)
{
    if (s_next_entry(self, error) == -1 || s_next_item(self, error) == -1)
        return -1;
    while (self->has_entry || self->item)
        if (s_check_cancelled(self->options, error) == -1 || s_step(self, error) == -1)
            return -1;
    return 0;
}

// Chunks of files that stay, for others that are to be written.
static int
s_note_same(s_survey_t *self, rmt_error_t *error)
{
    const rmt_old_tree_t *out = self->out;
    const rmt_converge_options_t *options = self->options;
    rmt_auto(rmt_manifest_reader) reader = rmt_manifest_reader_new(
        options->root, options->source, options->source_context, error);
    rmt_entry_t entry;
    int more = reader ? 1 : -1;
    for (size_t i = 0; more == 1 && i < out->count && rmt_olds_lacking(out->olds); i++) {
        more = rmt_manifest_reader_next(reader, &entry, error);
        if (more == 1 && (out->verdicts[i] == RMT_OLD_TREE_SAME ||
                          out->verdicts[i] == RMT_OLD_TREE_CHANGE))
            rmt_olds_note(out->olds, &entry);
    }
    return more == -1 ? -1 : 0;
}

static int
s_search(s_survey_t *self, rmt_error_t *error)
{
    rmt_old_tree_t *out = self->out;
    rmt_olds_search(out->olds, true);
    if (rmt_olds_lacking(out->olds) && s_note_same(self, error) == -1)
        return -1;
    rmt_olds_search(out->olds, false);
    out->plan.fetched = rmt_olds_lacking_size(out->olds);
    return 0;
}

static int
s_survey(s_survey_t *self, rmt_error_t *error)
{
    const rmt_converge_options_t *options = self->options;
    self->reader = rmt_manifest_reader_new(options->root, options->source,
                                           options->source_context, error);
    self->walk =
        self->reader ? rmt_walk_new(options->tree_fd, options->keeps, error) : NULL;
    if (!self->walk)
        return -1;
    rmt_walk_on_excluded(self->walk, s_on_kept, self);
    self->groups = rmt_links_new();
    self->inodes = rmt_links_new();
    self->buffer = malloc(RMT_CHUNK_PLAIN_MAX);
    self->other = malloc(RMT_CHUNK_PLAIN_MAX);
    assert(self->buffer && self->other);
    return s_merge(self, error) == -1 ? -1 : s_search(self, error);
}

int
rmt_old_tree_read(rmt_old_tree_t *out, const rmt_converge_options_t *options,
                  rmt_error_t *error)
{
    size_t count = 0;
    while (options->keeps && options->keeps[count])
        count++;
    *out = (rmt_old_tree_t){.olds = rmt_olds_new(options->tree_fd),
                            .kept_counts = calloc(count + 1, sizeof(size_t))};
    assert(out->kept_counts);
    s_survey_t self = {.out = out, .options = options};
    const int result = s_survey(&self, error);
    rmt_capture_item_destroy(&self.item);
    rmt_walk_destroy(&self.walk);
    rmt_manifest_reader_destroy(&self.reader);
    if (self.groups)
        rmt_links_destroy(&self.groups);
    if (self.inodes)
        rmt_links_destroy(&self.inodes);
    for (size_t i = 0; i < self.kept_count; i++)
        free(self.kept[i]);
    free(self.kept);
    free(self.buffer);
    free(self.other);
    return result;
}

void
rmt_old_tree_free(rmt_old_tree_t *self)
{
    rmt_olds_destroy(&self->olds);
    free(self->verdicts);
    free(self->kept_counts);
    *self = (rmt_old_tree_t){0};
}
