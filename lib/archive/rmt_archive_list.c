#include "archive/rmt_archive_list.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "base/rmt_log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LINKS_MAX 1000 // In a chain of links to links
#define FOLDER_MODE (S_IFDIR | 0755)

typedef struct {
    char *path;
    size_t path_size;
    uint64_t number; // In the archive
    uint8_t *data;   // The encoded entry; NULL for a link
    size_t size;
    char *link;
    size_t inode;   // Index of the item that has its inode
    size_t names;   // Of this inode, when it is its own
    uint64_t group; // Likewise
} s_item_t;

struct rmt_archive_list {
    s_item_t *items;
    size_t count, room;
};

rmt_archive_list_t *
rmt_archive_list_new(void)
{
    rmt_archive_list_t *self = calloc(1, sizeof *self);
    assert(self);
    return self;
}

static void
s_clear(s_item_t *item)
{
    free(item->path);
    free(item->data);
    free(item->link);
}

void
rmt_archive_list_destroy(rmt_archive_list_t **self_p)
{
    rmt_archive_list_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        s_clear(&self->items[i]);
    free(self->items);
    free(self);
    *self_p = NULL;
}

// ---- Gathering

static s_item_t *
s_append(rmt_archive_list_t *self, const char *path, size_t size)
{
    rmt_grow(&self->items, &self->room, self->count + 1);
    s_item_t *item = &self->items[self->count];
    *item =
        (s_item_t){.path = strndup(path, size), .path_size = size, .number = self->count};
    assert(item->path);
    self->count++;
    return item;
}

int
rmt_archive_list_add(rmt_archive_list_t *self, const rmt_entry_t *entry, const char *link,
                     rmt_error_t *error)
{
    char shown[200];
    if (!link && rmt_entry_check(entry, error) == -1)
        return rmt_wrap(error, "/%s", rmt_log_escape(shown, sizeof shown, entry->path));
    s_item_t *item = s_append(self, entry->path, entry->path_size);
    size_t room = 0;
    if (link)
        item->link = strdup(link);
    else
        rmt_entry_encode(entry, &item->data, &item->size, &room);
    assert(item->link || item->data);
    return 0;
}

// ---- Order

static int
s_compare(const void *a, const void *b)
{
    const s_item_t *one = a;
    const s_item_t *two = b;
    const int order =
        rmt_path_compare(one->path, one->path_size, two->path, two->path_size);
    return order ? order : one->number < two->number ? -1 : one->number > two->number;
}

// Of the same path the last one stays.
static void
s_sort(rmt_archive_list_t *self)
{
    if (self->count == 0)
        return;
    qsort(self->items, self->count, sizeof *self->items, s_compare);
    size_t kept = 0;
    for (size_t i = 0; i < self->count; i++) {
        const bool is_replaced =
            i + 1 < self->count &&
            rmt_path_compare(self->items[i].path, self->items[i].path_size,
                             self->items[i + 1].path, self->items[i + 1].path_size) == 0;
        if (is_replaced)
            s_clear(&self->items[i]);
        else
            self->items[kept++] = self->items[i];
    }
    self->count = kept;
}

static s_item_t *
s_find(const rmt_archive_list_t *self, const char *path, size_t size)
{
    size_t low = 0, high = self->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const s_item_t *item = &self->items[middle];
        const int order = rmt_path_compare(item->path, item->path_size, path, size);
        if (order == 0)
            return &self->items[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static void
s_add_folder(rmt_archive_list_t *self, const char *path, size_t size)
{
    rmt_auto_str name = strndup(path, size);
    assert(name);
    const rmt_entry_t folder = {.path = name, .path_size = size, .mode = FOLDER_MODE};
    rmt_error_t error = {0};
    (void) rmt_archive_list_add(self, &folder, NULL, &error);
}

// Make up the folders that the archive does not have. Those found missing are appended,
// so they may come twice; sorting again leaves one.
static void
s_add_missing(rmt_archive_list_t *self)
{
    rmt_archive_list_t sorted = *self;
    const size_t count = self->count;
    if (!s_find(&sorted, "", 0))
        s_add_folder(self, "", 0);
    for (size_t i = 0; i < count; i++) {
        sorted.items = self->items; // Appending may have moved them
        size_t size = self->items[i].path_size;
        while (size > 0) {
            const char *path = self->items[i].path;
            while (size > 0 && path[size - 1] != '/')
                size--;
            size -= size > 0;
            if (size == 0 || s_find(&sorted, path, size))
                break;
            s_add_folder(self, path, size);
            sorted.items = self->items;
        }
    }
    if (self->count > count)
        s_sort(self);
}

// ---- Hard links

static int
s_resolve(rmt_archive_list_t *self, size_t index, rmt_error_t *error)
{
    const s_item_t *item = &self->items[index];
    for (int i = 0; item->link && i < LINKS_MAX; i++) {
        const s_item_t *next = s_find(self, item->link, strlen(item->link));
        if (!next)
            break;
        item = next;
    }
    char shown[200], other[200];
    const s_item_t *first = &self->items[index];
    if (item->link)
        return rmt_fail(error, RMT_E_CORRUPT,
                        "/%s is a hard link to /%s, a name that the archive lacks",
                        rmt_log_escape(shown, sizeof shown, first->path),
                        rmt_log_escape(other, sizeof other, item->link));
    self->items[index].inode = (size_t) (item - self->items);
    self->items[self->items[index].inode].names++;
    return 0;
}

static int
s_resolve_all(rmt_archive_list_t *self, rmt_error_t *error)
{
    for (size_t i = 0; i < self->count; i++)
        if (s_resolve(self, i, error) == -1)
            return -1;
    return 0;
}

// ---- Writing

typedef struct {
    rmt_archive_list_t *list;
    rmt_manifest_writer_t *writer;
    rmt_entry_buffer_t *room;
    uint64_t groups;
    rmt_archive_totals_t totals;
} s_write_t;

static int
s_write_item(s_write_t *self, const s_item_t *item, rmt_error_t *error)
{
    s_item_t *inode = &self->list->items[item->inode];
    rmt_entry_t entry;
    if (rmt_entry_decode(inode->data, inode->size, self->room, &entry, error) == -1)
        return -1;
    if (inode->names > 1 && S_ISDIR(entry.mode))
        return rmt_fail(error, RMT_E_CORRUPT, "is a hard link to a folder");
    const bool is_first = inode->names > 1 && !inode->group;
    if (is_first)
        inode->group = ++self->groups;
    if (inode->names > 1 && !is_first)
        entry = (rmt_entry_t){.mode = entry.mode};
    entry.path = item->path;
    entry.path_size = item->path_size;
    entry.link_group = inode->group;
    entry.link_first = is_first;
    for (size_t i = 0; i < entry.chunk_count; i++)
        self->totals.size += entry.chunk_sizes[i];
    self->totals.entries++;
    return rmt_manifest_writer_add(self->writer, &entry, error);
}

int
rmt_archive_list_write(rmt_archive_list_t *self, rmt_chunk_sink_fn *sink, void *context,
                       rmt_id_t *root_out, rmt_archive_totals_t *totals_out,
                       rmt_error_t *error)
{
    s_sort(self);
    s_add_missing(self);
    if (s_resolve_all(self, error) == -1)
        return -1;
    rmt_auto(rmt_manifest_writer) writer = rmt_manifest_writer_new(sink, context);
    rmt_auto(rmt_entry_buffer) room = rmt_entry_buffer_new();
    s_write_t write = {.list = self, .writer = writer, .room = room};
    for (size_t i = 0; i < self->count; i++) {
        char shown[200];
        if (s_write_item(&write, &self->items[i], error) == -1)
            return rmt_wrap(error, "/%s",
                            rmt_log_escape(shown, sizeof shown, self->items[i].path));
    }
    if (rmt_manifest_writer_finish(writer, root_out, error) == -1)
        return -1;
    *totals_out = write.totals;
    return 0;
}
