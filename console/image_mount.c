#include "console/image_mount.h"
#include "console/chunk_fetcher.h"
#include "console/image.h"
#include "console/output.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
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

// Read all names and attributes of the image. 0, or -1.
static int
s_read_tree(image_t *image, rmt_image_tree_t *tree, rmt_error_t *error)
{
    const rmt_record_t *volume = image_volume(image, 0);
    if (!volume)
        return rmt_fail(error, RMT_E_UNSUPPORTED, "the image has no volume to mount");
    for (size_t i = 0; (volume = image_volume(image, i)); i++)
        if (rmt_image_tree_begin(tree, image_mount(volume), error) == -1 ||
            image_each_entry(image, volume, s_add, tree, error) == -1)
            return -1;
    rmt_image_tree_finish(tree);
    return 0;
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
    if (!self->is_down)
        fprintf(stderr, "ramet: reads of image %s wait, or fail (EIO): %s\n", self->name,
                why);
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
                "ramet: image %s is INCOMPLETE: %" PRIu64 " files have no contents, and "
                "reading them fails (EIO); see: ramet image show %s\n",
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
