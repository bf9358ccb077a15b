#include "contents.h"
#include "output.h"
#include "rmt_auto.h"
#include "rmt_codec.h"
#include "rmt_fetch.h"
#include "rmt_log.h"
#include "rmt_manifest.h"
#include "rmt_writer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DESCRIPTOR_SIZE_MAX RMT_CHUNK_SIZE_MAX
// Chunks that are asked for at once, so that fetching and using overlap.
#define BATCH 512

typedef struct {
    call_t *call;
    rmt_fetch_t *fetch; // Of descriptor and manifests
    rmt_fetch_t *data;  // Of contents, so that each reads ahead in its own order
    rmt_records_t *descriptor;
    rmt_id_t image;
} contents_t;

static void
contents_destroy(contents_t **self_p)
{
    contents_t *self = *self_p;
    if (!self)
        return;
    rmt_fetch_destroy(&self->fetch);
    rmt_fetch_destroy(&self->data);
    rmt_records_destroy(&self->descriptor);
    free(self);
    *self_p = NULL;
}

// Get the right to fetch the image, find its holders, read its descriptor.
static contents_t *
s_open(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "image", call->operands[0]);
    rmt_auto(rmt_msg) reply = call_request(call, "image.grant", body, NULL, error);
    if (!reply)
        return NULL;
    rmt_auto(contents) self = calloc(1, sizeof *self);
    self->call = call;
    if (rmt_id_parse(&self->image, rmt_record_text(reply->body, "image", ""), error) == -1)
        return NULL;
    self->fetch =
        rmt_fetch_new(reply->items, call->broker_host, &call->own, &self->image, error);
    self->data =
        rmt_fetch_new(reply->items, call->broker_host, &call->own, &self->image, error);
    rmt_auto_ptr plain = malloc(RMT_CHUNK_PLAIN_MAX);
    size_t size;
    if (!self->fetch || !self->data
        || rmt_fetch_read(self->fetch, &self->image, plain, &size, error) == -1)
        return NULL;
    self->descriptor = rmt_codec_unpack_records(plain, size, DESCRIPTOR_SIZE_MAX, error);
    return self->descriptor ? rmt_take(&self) : NULL;
}

// Called with each entry of each volume. 0, or -1 with error.
typedef int(entry_fn)(void *context, const rmt_record_t *volume, const rmt_entry_t *entry,
                      rmt_error_t *error);

static int
s_each_entry(contents_t *self, const rmt_record_t *volume, entry_fn *act, void *context,
             rmt_error_t *error)
{
    rmt_id_t root;
    if (rmt_id_parse(&root, rmt_record_text(volume, "root", ""), error) == -1)
        return -1;
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(&root, rmt_fetch_read, self->fetch, error);
    if (!reader)
        return -1;
    size_t count;
    const rmt_id_t *chunks = rmt_manifest_reader_chunks(reader, &count);
    rmt_fetch_expect(self->fetch, chunks, count);
    rmt_entry_t entry;
    int rc;
    while ((rc = rmt_manifest_reader_next(reader, &entry, error)) == 1) {
        if (act(context, volume, &entry, error) == -1)
            return -1;
    }
    return rc;
}

static int
s_each_volume(contents_t *self, entry_fn *act, void *context, rmt_error_t *error)
{
    for (size_t i = 0; i < rmt_records_count(self->descriptor); i++) {
        const rmt_record_t *volume = rmt_records_at(self->descriptor, i);
        if (strcmp(rmt_record_text(volume, "class", ""), "volume") != 0
            || !rmt_record_has(volume, "root"))
            continue;
        if (s_each_entry(self, volume, act, context, error) == -1)
            return -1;
    }
    return 0;
}

// ---- files

typedef struct {
    const char *below; // Without slashes at its ends; "" for all
    rmt_records_t *items;
} listing_t;

static int
s_list_entry(void *context, const rmt_record_t *volume, const rmt_entry_t *entry,
             rmt_error_t *error)
{
    (void) error;
    listing_t *listing = context;
    const char *mount = rmt_record_text(volume, "mount", "/");
    const size_t size = strlen(listing->below);
    rmt_auto_str path = NULL;
    if (asprintf(&path, "%s%s%s", mount, strcmp(mount, "/") == 0 ? "" : "/", entry->path) == -1)
        abort();
    if (size && (strncmp(path + 1, listing->below, size) != 0
                 || (path[1 + size] && path[1 + size] != '/')))
        return 0;
    rmt_record_t *item = rmt_records_add(listing->items);
    rmt_record_setf(item, "mode", "%06o", entry->mode);
    rmt_record_setf(item, "owner", "%u:%u", entry->uid, entry->gid);
    rmt_record_set_u64(item, "size", entry->size);
    rmt_record_setf(item, "mtime", "%" PRId64 ".%09u", entry->mtime_s, entry->mtime_ns);
    rmt_record_put(item, "path", path, strlen(path));
    if (entry->target)
        rmt_record_put(item, "target", entry->target, strlen(entry->target));
    if (entry->link_group)
        rmt_record_set_u64(item, "link-group", entry->link_group);
    return 0;
}

int
contents_files(call_t *call, rmt_error_t *error)
{
    rmt_auto(contents) self = s_open(call, error);
    if (!self)
        return -1;
    const char *below = call_operand(call, 1) ? call_operand(call, 1) : "";
    rmt_auto(rmt_records) items = rmt_records_new();
    listing_t listing = { below + strspn(below, "/"), items };
    if (s_each_volume(self, s_list_entry, &listing, error) == -1)
        return -1;
    static const char *const columns[] = { "mode", "owner", "size", "mtime", "path", NULL };
    output_list(items, columns, call->json);
    return 0;
}

// ---- verify

typedef struct {
    contents_t *contents;
    rmt_id_t ids[BATCH];
    size_t count;
    uint64_t files, bytes;
} verify_t;

static int
s_count_chunk(void *context, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    (void) error;
    verify_t *verify = context;
    verify->bytes += chunk->plain_size;
    return 0;
}

static int
s_verify_batch(verify_t *verify, rmt_error_t *error)
{
    const size_t count = verify->count;
    verify->count = 0;
    return rmt_fetch_get(verify->contents->fetch, verify->ids, count, s_count_chunk, verify,
                         error);
}

static int
s_verify_entry(void *context, const rmt_record_t *volume, const rmt_entry_t *entry,
               rmt_error_t *error)
{
    (void) volume;
    verify_t *verify = context;
    verify->files++;
    for (size_t i = 0; i < entry->chunk_count; i++) {
        verify->ids[verify->count++] = entry->chunks[i];
        if (verify->count == BATCH && s_verify_batch(verify, error) == -1)
            return -1;
    }
    return 0;
}

int
contents_verify(call_t *call, rmt_error_t *error)
{
    rmt_auto(contents) self = s_open(call, error);
    if (!self)
        return -1;
    verify_t verify = { .contents = self };
    if (s_each_volume(self, s_verify_entry, &verify, error) == -1
        || s_verify_batch(&verify, error) == -1)
        return rmt_wrap(error, "image %s is damaged", call->operands[0]);
    rmt_auto(rmt_record) result = rmt_record_new();
    rmt_record_set(result, "state", "verified");
    rmt_record_set_u64(result, "files", verify.files);
    rmt_record_set_u64(result, "bytes", verify.bytes);
    output_record(result, NULL, NULL, NULL, call->json);
    return 0;
}

// ---- checkout (M17)

typedef struct {
    contents_t *contents;
    rmt_writer_t *writer;
    uint8_t *plain; // [RMT_CHUNK_PLAIN_MAX]
} checkout_t;

static int
s_checkout_entry(void *context, const rmt_record_t *volume, const rmt_entry_t *entry,
                 rmt_error_t *error)
{
    (void) volume;
    checkout_t *checkout = context;
    rmt_fetch_t *fetch = checkout->contents->data;
    if (rmt_writer_entry(checkout->writer, entry, error) == -1)
        return -1;
    for (size_t i = 0; i < entry->chunk_count; i++) {
        size_t size;
        if (rmt_fetch_read(fetch, &entry->chunks[i], checkout->plain, &size, error) == -1
            || rmt_writer_data(checkout->writer, checkout->plain, size, error) == -1)
            return rmt_wrap(error, "%s", entry->path);
    }
    return 0;
}

// The ids of all contents of a volume, in the order in which they are written.
typedef struct {
    rmt_id_t *ids;
    size_t count, room;
} ids_t;

static int
s_collect(void *context, const rmt_record_t *volume, const rmt_entry_t *entry,
          rmt_error_t *error)
{
    (void) volume;
    (void) error;
    ids_t *all = context;
    if (all->count + entry->chunk_count > all->room) {
        all->room = 2 * (all->count + entry->chunk_count);
        all->ids = realloc(all->ids, all->room * sizeof *all->ids);
        assert(all->ids);
    }
    if (entry->chunk_count)
        memcpy(all->ids + all->count, entry->chunks, entry->chunk_count * sizeof *all->ids);
    all->count += entry->chunk_count;
    return 0;
}

static int
s_expect_contents(contents_t *self, const rmt_record_t *volume, rmt_error_t *error)
{
    ids_t all = { 0 };
    const int rc = s_each_entry(self, volume, s_collect, &all, error);
    if (rc == 0)
        rmt_fetch_expect(self->data, all.ids, all.count);
    free(all.ids);
    return rc;
}

static int
s_checkout_volume(contents_t *self, const rmt_record_t *volume, const char *folder,
                  uint8_t *plain, rmt_error_t *error)
{
    rmt_auto_str path = NULL;
    if (asprintf(&path, "%s%s", folder, rmt_record_text(volume, "mount", "/")) == -1)
        abort();
    rmt_auto_fd root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root == -1)
        return rmt_fail_errno(error, "open %s", path);
    rmt_auto(rmt_writer) writer = rmt_writer_new(root, 2, error);
    checkout_t checkout = { self, writer, plain };
    if (!writer || s_expect_contents(self, volume, error) == -1
        || s_each_entry(self, volume, s_checkout_entry, &checkout, error) == -1)
        return -1;
    rmt_writer_report_t report;
    return rmt_writer_finish(writer, &report, error);
}

int
contents_checkout(call_t *call, rmt_error_t *error)
{
    const char *folder = call->operands[1];
    if (mkdir(folder, 0700) == -1 && errno != EEXIST)
        return rmt_fail_errno(error, "make folder %s", folder);
    if (rmdir(folder) == -1 || mkdir(folder, 0700) == -1)
        return rmt_fail_errno(error, "the folder %s must be empty", folder);
    rmt_auto(contents) self = s_open(call, error);
    if (!self)
        return -1;
    rmt_auto_ptr plain = malloc(RMT_CHUNK_PLAIN_MAX);
    for (size_t i = 0; i < rmt_records_count(self->descriptor); i++) {
        const rmt_record_t *volume = rmt_records_at(self->descriptor, i);
        if (strcmp(rmt_record_text(volume, "class", ""), "volume") == 0
            && rmt_record_has(volume, "root")
            && s_checkout_volume(self, volume, folder, plain, error) == -1)
            return -1;
    }
    return 0;
}
