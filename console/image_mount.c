#include "console/image_mount.h"
#include "console/chunk_fetcher.h"
#include "console/field.h"
#include "console/image.h"
#include "console/output.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "base/rmt_io.h"
#include "base/rmt_signals.h"
#include "mount/rmt_image_mount.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_MIB 64
#define CACHE_MIB_MIN 4
#define CACHE_MIB_MAX 65536
#define TICK_MS 1000 // Between looks at reads whose time may be over

typedef struct {
    call_t *call;
    const char *name, *folder;
    zactor_t *fetcher;
    rmt_image_mount_t *mount;
    bool is_down; // And it was said
} self_t;

static int
s_add(void *context, const rmt_record_t *volume, const rmt_entry_t *entry,
      rmt_error_t *error)
{
    (void) volume;
    return rmt_image_tree_add(context, entry, error);
}

// ---- Which volumes, and where

typedef struct {
    const rmt_record_t *volume;
    char *path; // Where it is seen
} seen_t;

typedef struct {
    seen_t *items;
    size_t count;
} seen_list_t;

static void
s_insert(seen_list_t *self, size_t at, const rmt_record_t *volume, char *path)
{
    rmt_grow_one(&self->items, self->count);
    memmove(self->items + at + 1, self->items + at,
            (self->count - at) * sizeof *self->items);
    self->items[at] = (seen_t){volume, path};
    self->count++;
}

static bool
s_is_same(const rmt_record_t *a, const rmt_record_t *b, const char *field)
{
    return strcmp(rmt_record_text(a, field, ""), rmt_record_text(b, field, "")) == 0;
}

// Of a subvolume that lies within another one, what its path has behind that of the outer
// one; NULL when it does not.
static const char *
s_within(const rmt_record_t *inner, const rmt_record_t *outer)
{
    static const char *const places[] = {"disk", "partition", "logical", "array",
                                         "crypt"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (!s_is_same(inner, outer, places[i]))
            return NULL;
    const char *path = rmt_record_text(inner, "subvolume", "");
    const char *above = rmt_record_text(outer, "subvolume", NULL);
    const size_t size = above ? strlen(above) : 0;
    if (!above || !*path || strncmp(path, above, size) != 0)
        return NULL;
    if (size == 0)
        return path;
    return path[size] == '/' ? path + size + 1 : NULL;
}

// A subvolume without a mount of its own is seen in the nearest one that it lies within.
// Caller owns the path; NULL: it is not seen.
static char *
s_path_within(const image_t *image, const rmt_record_t *inner)
{
    const char *least = NULL, *mount = NULL;
    const rmt_record_t *outer;
    for (size_t i = 0; (outer = image_volume(image, i)); i++) {
        const char *rest = s_within(inner, outer);
        if (!rest || (least && strlen(rest) >= strlen(least)))
            continue;
        least = rest;
        mount = image_mount(outer);
    }
    return least ? rmt_text("%s/%s", mount, least) : NULL;
}

static bool
s_is_below(const char *path, const char *above)
{
    const size_t size = strlen(above);
    return strncmp(path, above, size) == 0 && path[size] == '/';
}

// All volumes that the system shows; each behind those that hold the way to it.
static seen_list_t
s_list_volumes(const image_t *image)
{
    seen_list_t list = {0};
    const rmt_record_t *volume;
    for (size_t i = 0; (volume = image_volume(image, i)); i++)
        s_insert(&list, list.count, volume, rmt_text("%s", image_mount(volume)));
    for (size_t i = 0; i < rmt_records_count(image->descriptor); i++) {
        volume = rmt_records_at(image->descriptor, i);
        if (!rmt_record_is(volume, "class", "volume") ||
            !rmt_record_has(volume, "root") || *rmt_record_text(volume, "mount", ""))
            continue;
        char *path = s_path_within(image, volume);
        if (!path)
            continue;
        size_t at = 0;
        while (at < list.count && !s_is_below(list.items[at].path, path))
            at++;
        s_insert(&list, at, volume, path);
    }
    return list;
}

static void
s_free_volumes(seen_list_t *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].path);
    free(list->items);
}

// Read all names and attributes of the image. 0, or -1.
static int
s_read_tree(image_t *image, rmt_image_tree_t *tree, rmt_error_t *error)
{
    seen_list_t list = s_list_volumes(image);
    int result = list.count ? 0
                            : rmt_fail(error, RMT_E_UNSUPPORTED,
                                       "the image has no volume to mount");
    for (size_t i = 0; i < list.count && result == 0; i++) {
        result = rmt_image_tree_begin(tree, list.items[i].path, error);
        if (result == 0)
            result = image_each_entry(image, list.items[i].volume, s_add, tree, error);
    }
    s_free_volumes(&list);
    if (result == 0)
        rmt_image_tree_finish(tree);
    return result;
}

static int
s_cache_size(const call_t *call, size_t *size_out, rmt_error_t *error)
{
    const uint64_t mib = rmt_record_has(call->options, "cache")
                             ? rmt_record_u64(call->options, "cache", 0)
                             : CACHE_MIB;
    if (mib < CACHE_MIB_MIN || mib > CACHE_MIB_MAX)
        return rmt_fail(error, RMT_E_USAGE, "--cache takes a number of MiB from %d to %d",
                        CACHE_MIB_MIN, CACHE_MIB_MAX);
    *size_out = (size_t) mib * 1024 * 1024;
    return 0;
}

// ---- While it is mounted

static void
s_want(void *context, const rmt_id_t *ids, size_t count)
{
    const self_t *self = context;
    chunk_fetcher_want(self->fetcher, ids, count);
}

static void
s_say_down(self_t *self, const char *why)
{
    if (self->is_down)
        return;
    rmt_auto_str safe = field_safe(why, strlen(why)); // It may be a holder's word
    fprintf(stderr, "ramet: reads of image %s wait, or fail (EIO): %s\n", self->name,
            safe);
    self->is_down = true;
}

static void
s_on_chunk(void *context, const rmt_id_t *id, const void *plain, size_t size)
{
    self_t *self = context;
    if (self->is_down)
        fprintf(stderr, "ramet: image %s can be read again\n", self->name);
    self->is_down = false;
    rmt_image_mount_give(self->mount, id, plain, size);
}

static void
s_on_failure(void *context, const rmt_id_t *ids, size_t count, const rmt_error_t *why)
{
    self_t *self = context;
    s_say_down(self, why->text);
    rmt_image_mount_fail(self->mount, ids, count,
                         why->code == RMT_E_CORRUPT || why->code == RMT_E_NOT_FOUND);
}

static const chunk_fetcher_told_t s_told = {s_on_chunk, s_on_failure};

// Until it is unmounted, or a signal comes.
static void
s_serve(self_t *self, int signals)
{
    for (;;) {
        zmq_pollitem_t items[] = {{NULL, rmt_image_mount_fd(self->mount), ZMQ_POLLIN, 0},
                                  {NULL, signals, ZMQ_POLLIN, 0},
                                  {zsock_resolve(self->fetcher), 0, ZMQ_POLLIN, 0}};
        (void) zmq_poll(items, 3, TICK_MS);
        if (rmt_signals_read(signals) != 0)
            return;
        if (items[2].revents)
            chunk_fetcher_take(self->fetcher, &s_told, self);
        if (items[0].revents && !rmt_image_mount_serve(self->mount))
            return;
        if (rmt_image_mount_expire(self->mount) > 0)
            s_say_down(self, "no holder of the image answers; see: ramet doctor");
    }
}

static void
s_show(const self_t *self, const rmt_image_tree_counts_t *counts)
{
    if (counts->unreadable)
        fprintf(stderr,
                "ramet: image %s is INCOMPLETE; files without contents: %" PRIu64
                "; opening one fails (EIO); see: ramet image show %s\n",
                self->name, counts->unreadable, self->name);
    if (self->call->json) {
        rmt_auto(rmt_record) shown = rmt_record_new();
        rmt_record_set(shown, "image", self->name);
        rmt_record_set(shown, "folder", self->folder);
        rmt_record_set_u64(shown, "files", counts->inodes);
        rmt_record_set_u64(shown, "bytes", counts->bytes);
        rmt_record_set_u64(shown, "unreadable-count", counts->unreadable);
        output_line(shown);
    } else {
        printf("mounted %s at %s (%" PRIu64 " files, %" PRIu64
               " bytes): unmount with fusermount3 -u %s\n",
               self->name, self->folder, counts->inodes, counts->bytes, self->folder);
    }
    (void) fflush(stdout);
}

int
image_mount_run(call_t *call, rmt_error_t *error)
{
    self_t self = {.call = call, .name = call->operands[0], .folder = call->operands[1]};
    rmt_image_mount_setup_t setup = {
        .name = self.name,
        .folder = self.folder,
        .for_others = rmt_record_has(call->options, "allow-other"),
        .want = s_want,
        .context = &self,
    };
    if (s_cache_size(call, &setup.cache_size, error) == -1 ||
        rmt_image_mount_check(self.folder, setup.for_others, error) == -1)
        return -1;
    rmt_auto(image) image = image_open(call, self.name, error);
    rmt_auto(rmt_image_tree) tree = rmt_image_tree_new();
    if (!image || s_read_tree(image, tree, error) == -1)
        return -1;
    setup.tree = tree;
    rmt_auto_fd signals = rmt_signals_open(error);
    if (signals == -1)
        return -1;
    self.fetcher = chunk_fetcher_new(image);
    self.mount = rmt_image_mount_new(&setup, error);
    if (self.mount) {
        rmt_image_tree_counts_t counts;
        rmt_image_tree_count(tree, &counts);
        s_show(&self, &counts);
        s_serve(&self, signals);
    }
    const int result = self.mount ? 0 : -1;
    rmt_image_mount_destroy(&self.mount);
    zactor_destroy(&self.fetcher);
    return result;
}
