#include "mount/rmt_image_tree.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "base/rmt_io.h"
#include "tree/rmt_links.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NONE UINT32_MAX
#define SYMLINKS_MAX 40 // On the way to a mount point

typedef struct {
    rmt_image_inode_t shown;
    size_t record, record_size; // Of its entry, in the records
    uint32_t parent;            // Of a folder
    uint32_t first;             // Name of a folder: while filling in names, then in order
    uint32_t count;
} inode_t;

typedef struct {
    size_t text; // In the texts
    uint32_t inode;
    uint32_t next; // Of the same folder
} name_t;

typedef struct {
    uint32_t inode;
    size_t path_size;
} level_t;

struct rmt_image_tree {
    inode_t *inodes;
    size_t inode_count, inode_room;
    name_t *names;
    size_t name_count, name_room;
    char *texts;
    size_t text_size, text_room;
    uint8_t *records; // Encoded entries
    size_t record_size, record_room;
    rmt_links_t *links;
    uint64_t volume; // Number of the one that is being filled
    uint32_t mount;  // Where it is mounted
    level_t *path;   // The folders down to the last entry
    size_t depth, path_room;
    uint32_t *order; // Names of all folders, each folder's one after the other
    rmt_image_tree_counts_t counts;
};

rmt_image_tree_t *
rmt_image_tree_new(void)
{
    rmt_image_tree_t *self = calloc(1, sizeof *self);
    assert(self);
    self->links = rmt_links_new();
    return self;
}

void
rmt_image_tree_destroy(rmt_image_tree_t **self_p)
{
    rmt_image_tree_t *self = rmt_take(self_p);
    if (!self)
        return;
    rmt_links_destroy(&self->links);
    free(self->inodes);
    free(self->names);
    free(self->texts);
    free(self->records);
    free(self->path);
    free(self->order);
    free(self);
}

// ---- Filling

static uint32_t
s_add_inode(rmt_image_tree_t *self, uint32_t parent, uint32_t mode)
{
    assert(self->inode_count < NONE);
    rmt_grow(&self->inodes, &self->inode_room, self->inode_count + 1);
    self->inodes[self->inode_count] =
        (inode_t){.shown = {.mode = mode}, .parent = parent, .first = NONE};
    return (uint32_t) self->inode_count++;
}

static void
s_add_name(rmt_image_tree_t *self, uint32_t folder, const char *name, size_t size,
           uint32_t inode)
{
    assert(self->name_count < NONE);
    rmt_grow(&self->names, &self->name_room, self->name_count + 1);
    rmt_grow(&self->texts, &self->text_room, self->text_size + size + 1);
    memcpy(self->texts + self->text_size, name, size);
    self->texts[self->text_size + size] = '\0';
    self->names[self->name_count] = (name_t){
        .text = self->text_size, .inode = inode, .next = self->inodes[folder].first};
    self->inodes[folder].first = (uint32_t) self->name_count++;
    self->inodes[folder].count++;
    self->text_size += size + 1;
}

// While filling; NONE when there is no such name.
static uint32_t
s_look_up(const rmt_image_tree_t *self, uint32_t folder, const char *name)
{
    uint32_t at = self->inodes[folder].first;
    while (at != NONE && strcmp(self->texts + self->names[at].text, name) != 0)
        at = self->names[at].next;
    return at == NONE ? NONE : self->names[at].inode;
}

// The way that a symlink in folder leads, and the rest of the way behind it. Caller owns.
// NULL: CORRUPT.
static char *
s_follow(const rmt_image_tree_t *self, uint32_t inode, const char *rest,
         rmt_error_t *error)
{
    rmt_auto(rmt_entry_buffer) room = rmt_entry_buffer_new();
    rmt_entry_t entry;
    if (rmt_image_tree_entry(self, inode, room, &entry, error) == -1)
        return NULL;
    return rmt_text("%s/%s", entry.target, rest);
}

// One step of the way to a mount point: folder_p moves on, way_p loses its first word or
// gets a symlink's words. A folder that is missing is made, as systemd makes it.
static int
s_step(rmt_image_tree_t *self, uint32_t *folder_p, char **way_p, rmt_error_t *error)
{
    rmt_auto_str way = rmt_take(way_p);
    const size_t size = strcspn(way, "/");
    const char *rest = way + size + strspn(way + size, "/");
    rmt_auto_str word = strndup(way, size);
    if (strcmp(word, "..") == 0)
        *folder_p = self->inodes[*folder_p].parent;
    uint32_t next = *folder_p;
    if (strcmp(word, "..") != 0 && strcmp(word, ".") != 0)
        next = s_look_up(self, *folder_p, word);
    if (next == NONE) {
        next = s_add_inode(self, *folder_p, S_IFDIR | 0755);
        s_add_name(self, *folder_p, word, size, next);
    }
    if (S_ISLNK(self->inodes[next].shown.mode)) {
        *way_p = s_follow(self, next, rest, error);
        if (!*way_p)
            return -1;
        if (**way_p == '/')
            *folder_p = RMT_IMAGE_TREE_ROOT;
        return 1;
    }
    if (!S_ISDIR(self->inodes[next].shown.mode))
        return rmt_fail(error, RMT_E_CORRUPT, "'%s' on the way is not a folder", word);
    *folder_p = next;
    *way_p = rmt_text("%s", rest);
    return 0;
}

// The folder at the end of the way. 0, or -1: CORRUPT.
static int
s_find_mount(rmt_image_tree_t *self, const char *mount, uint32_t *folder_out,
             rmt_error_t *error)
{
    uint32_t folder = RMT_IMAGE_TREE_ROOT;
    rmt_auto_str way = rmt_text("%s", mount);
    for (size_t symlinks = 0;;) {
        const size_t slashes = strspn(way, "/");
        memmove(way, way + slashes, strlen(way + slashes) + 1);
        if (!*way)
            break;
        const int followed = s_step(self, &folder, &way, error);
        if (followed == -1)
            return -1;
        symlinks += (size_t) followed;
        if (symlinks > SYMLINKS_MAX)
            return rmt_fail(error, RMT_E_CORRUPT, "too many symlinks on the way");
    }
    *folder_out = folder;
    return 0;
}

int
rmt_image_tree_begin(rmt_image_tree_t *self, const char *mount, rmt_error_t *error)
{
    assert(!self->order);
    if (self->inode_count == 0)
        (void) s_add_inode(self, RMT_IMAGE_TREE_ROOT, S_IFDIR | 0755);
    if (s_find_mount(self, mount, &self->mount, error) == -1)
        return rmt_wrap(error, "mount a volume at %s", mount);
    self->inodes[self->mount].first = NONE;
    self->inodes[self->mount].count = 0;
    self->volume++;
    self->depth = 0;
    return 0;
}

static uint64_t
s_data_size(const rmt_entry_t *entry)
{
    if (!entry->sparse)
        return entry->size;
    uint64_t size = 0;
    for (size_t i = 0; i < entry->extent_count; i++)
        size += entry->extents[i].size;
    return size;
}

// Keep what the entry says of its inode. The path is not kept: names have it.
static void
s_describe(rmt_image_tree_t *self, uint32_t number, const rmt_entry_t *entry)
{
    rmt_entry_t kept = *entry;
    kept.path = S_ISDIR(entry->mode) ? "" : "-";
    kept.path_size = strlen(kept.path);
    kept.link_group = 0;
    kept.link_first = false;
    inode_t *inode = &self->inodes[number];
    inode->record = self->record_size;
    rmt_entry_encode(&kept, &self->records, &self->record_size, &self->record_room);
    inode->record_size = self->record_size - inode->record;
    inode->shown = (rmt_image_inode_t){
        .size = entry->target ? strlen(entry->target) : entry->size,
        .data_size = S_ISREG(entry->mode) ? s_data_size(entry) : 0,
        .mtime_s = entry->mtime_s,
        .mtime_ns = entry->mtime_ns,
        .mode = entry->mode,
        .uid = entry->uid,
        .gid = entry->gid,
        .rdev_major = entry->rdev_major,
        .rdev_minor = entry->rdev_minor,
        .is_unreadable = entry->unreadable,
    };
}

// The inode of an entry that is no folder. NONE: CORRUPT.
static uint32_t
s_inode_of(rmt_image_tree_t *self, uint32_t parent, const rmt_entry_t *entry,
           rmt_error_t *error)
{
    const rmt_hard_link_t *known =
        entry->link_group ? rmt_links_find(self->links, self->volume, entry->link_group)
                          : NULL;
    if (entry->link_group && !entry->link_first && !known) {
        rmt_fail(error, RMT_E_CORRUPT, "/%s is a link to no file", entry->path);
        return NONE;
    }
    if (known)
        return (uint32_t) known->made_inode;
    const uint32_t inode = s_add_inode(self, parent, entry->mode);
    if (entry->link_group)
        rmt_links_add(self->links, self->volume, entry->link_group, "", 0)->made_inode =
            inode;
    s_describe(self, inode, entry);
    return inode;
}

// The folder that the entry is in, to which the path is cut back. NONE: CORRUPT.
static uint32_t
s_parent_of(rmt_image_tree_t *self, const rmt_entry_t *entry, size_t *name_at_out)
{
    const char *slash = strrchr(entry->path, '/');
    const size_t size = slash ? (size_t) (slash - entry->path) : 0;
    *name_at_out = slash ? size + 1 : 0;
    while (self->depth && self->path[self->depth - 1].path_size > size)
        self->depth--;
    // Their order lets no other folder of this length stand here.
    return self->depth && self->path[self->depth - 1].path_size == size
               ? self->path[self->depth - 1].inode
               : NONE;
}

static void
s_go_down(rmt_image_tree_t *self, uint32_t inode, size_t path_size)
{
    rmt_grow(&self->path, &self->path_room, self->depth + 1);
    self->path[self->depth++] = (level_t){inode, path_size};
}

int
rmt_image_tree_add(rmt_image_tree_t *self, const rmt_entry_t *entry, rmt_error_t *error)
{
    assert(self->volume && !self->order);
    if (entry->path_size == 0) {
        s_describe(self, self->mount, entry);
        s_go_down(self, self->mount, 0);
        return 0;
    }
    size_t name_at;
    const uint32_t parent = s_parent_of(self, entry, &name_at);
    if (parent == NONE)
        return rmt_fail(error, RMT_E_CORRUPT, "/%s is in no folder", entry->path);
    if (self->inode_count == NONE - 1 || self->name_count == NONE - 1)
        return rmt_fail(error, RMT_E_TOO_BIG, "the image has more than %u names",
                        NONE - 1);
    const uint32_t inode = s_inode_of(self, parent, entry, error);
    if (inode == NONE)
        return -1;
    s_add_name(self, parent, entry->path + name_at, entry->path_size - name_at, inode);
    if (S_ISDIR(entry->mode))
        s_go_down(self, inode, entry->path_size);
    return 0;
}

// ---- All was given

static int
s_compare_names(const void *a, const void *b, void *context)
{
    const rmt_image_tree_t *self = context;
    return strcmp(self->texts + self->names[*(const uint32_t *) a].text,
                  self->texts + self->names[*(const uint32_t *) b].text);
}

// Put the names of a folder in order, from `at` on.
static void
s_order(rmt_image_tree_t *self, inode_t *folder, uint32_t at)
{
    const uint32_t begin = at;
    for (uint32_t name = folder->first; name != NONE; name = self->names[name].next)
        self->order[at++] = name;
    folder->first = begin;
    if (folder->count > 1)
        qsort_r(self->order + begin, folder->count, sizeof *self->order, s_compare_names,
                self);
}

static void
s_count(rmt_image_tree_t *self, inode_t *inode)
{
    if (inode->shown.links++)
        return;
    self->counts.inodes++;
    self->counts.bytes += S_ISREG(inode->shown.mode) ? inode->shown.size : 0;
    self->counts.unreadable += inode->shown.is_unreadable;
}

void
rmt_image_tree_finish(rmt_image_tree_t *self)
{
    assert(!self->order && self->inode_count);
    self->order = malloc((self->name_count + 1) * sizeof *self->order);
    assert(self->order);
    // From the root down, so that what a mount hides is not counted. The order is its own
    // queue: each folder's names come behind those that were looked at.
    inode_t *root = &self->inodes[RMT_IMAGE_TREE_ROOT];
    s_count(self, root);
    root->shown.links = 2;
    s_order(self, root, 0);
    uint32_t end = root->count;
    for (uint32_t at = 0; at < end; at++) {
        inode_t *inode = &self->inodes[self->names[self->order[at]].inode];
        s_count(self, inode);
        if (!S_ISDIR(inode->shown.mode))
            continue;
        inode->shown.links = 2;
        self->inodes[inode->parent].shown.links++;
        s_order(self, inode, end);
        end += inode->count;
    }
}

void
rmt_image_tree_count(const rmt_image_tree_t *self, rmt_image_tree_counts_t *counts_out)
{
    *counts_out = self->counts;
}

// ---- Asking

const rmt_image_inode_t *
rmt_image_tree_inode(const rmt_image_tree_t *self, uint64_t inode)
{
    return inode < self->inode_count ? &self->inodes[inode].shown : NULL;
}

const char *
rmt_image_tree_name(const rmt_image_tree_t *self, uint32_t folder, size_t index,
                    uint32_t *inode_out)
{
    assert(self->order);
    const inode_t *inode = &self->inodes[folder];
    if (index >= inode->count)
        return NULL;
    const name_t *name = &self->names[self->order[inode->first + index]];
    *inode_out = name->inode;
    return self->texts + name->text;
}

bool
rmt_image_tree_find(const rmt_image_tree_t *self, uint32_t folder, const char *name,
                    uint32_t *inode_out)
{
    size_t low = 0, high = self->inodes[folder].count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order =
            strcmp(rmt_image_tree_name(self, folder, middle, inode_out), name);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

size_t
rmt_image_tree_end(const rmt_image_tree_t *self)
{
    return self->inode_count;
}

uint32_t
rmt_image_tree_parent(const rmt_image_tree_t *self, uint32_t folder)
{
    return self->inodes[folder].parent;
}

int
rmt_image_tree_entry(const rmt_image_tree_t *self, uint32_t inode,
                     rmt_entry_buffer_t *room, rmt_entry_t *entry_out, rmt_error_t *error)
{
    const inode_t *from = &self->inodes[inode];
    if (from->record_size == 0) { // A mount point that no entry describes
        *entry_out = (rmt_entry_t){.path = "", .mode = from->shown.mode};
        return 0;
    }
    return rmt_entry_decode(self->records + from->record, from->record_size, room,
                            entry_out, error);
}
