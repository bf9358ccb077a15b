#include "console/image_archive.h"
#include "console/head_parts.h"
#include "console/release.h"
#include "console/image.h"
#include "archive/rmt_archive_cutter.h"
#include "archive/rmt_archive_list.h"
#include "archive/rmt_archive_reader.h"
#include "base/rmt_auto.h"
#include "base/rmt_random.h"
#include "wire/rmt_codec.h"
#include "base/rmt_io.h"
#include "facts/rmt_layout.h"
#include "exchange/rmt_offer.h"
#include "console/watch.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct {
    rmt_record_t *record; // In the descriptor
    const char *mount;    // Without slashes at its ends
    rmt_archive_list_t *list;
    bool is_met; // The folder on which it is mounted was there
} s_volume_t;

typedef struct {
    call_t *call;
    rmt_archive_reader_t *reader;
    rmt_records_t *descriptor;
    rmt_offer_t *offer;
    char *place;
    char *signatures; // Of the image that was exported; NULL for none
    s_volume_t volumes[RMT_LAYOUT_VOLUMES_MAX];
    size_t volume_count;
    rmt_archive_cutter_t *cutter;
    uint8_t *plain; // [RMT_CHUNK_PLAIN_MAX]
    void *room;     // [RMT_CHUNK_STORED_MAX]
} s_import_t;

static void
s_close(s_import_t *self)
{
    rmt_archive_reader_destroy(&self->reader);
    rmt_records_destroy(&self->descriptor);
    rmt_offer_destroy(&self->offer);
    for (size_t i = 0; i < self->volume_count; i++)
        rmt_archive_list_destroy(&self->volumes[i].list);
    free(self->place);
    free(self->signatures);
    rmt_archive_cutter_destroy(&self->cutter);
    free(self->plain);
    free(self->room);
}

static int
s_sink(void *context, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    s_import_t *self = context;
    return rmt_offer_chunk(self->offer, chunk, error);
}

// ---- Beginning

static int
s_open_offer(s_import_t *self, const char *name, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "name", name);
    rmt_record_set(body, "place", rmt_record_text(self->call->options, "place", ""));
    rmt_auto(rmt_msg) reply =
        call_request(self->call, "image.receive", body, NULL, error);
    if (!reply)
        return -1;
    self->place = rmt_text("%s", rmt_record_text(reply->body, "place", ""));
    uint8_t task[RMT_UID_SIZE], job[RMT_UID_SIZE] = {0};
    rmt_random_bytes(task, sizeof task);
    const rmt_offer_config_t config = {.holders = reply->items,
                                       .host = self->call->broker_host,
                                       .own = &self->call->own,
                                       .task = task,
                                       .job = job,
                                       .attempt = 1};
    self->offer = rmt_offer_new(&config, error);
    return self->offer ? 0 : -1;
}

static int
s_offer_part(s_import_t *self, const void *data, size_t size, rmt_id_t *id_out,
             rmt_error_t *error)
{
    rmt_chunk_t chunk;
    if (size == 0 || size > RMT_CHUNK_PLAIN_MAX)
        return rmt_fail(
            error, RMT_E_CORRUPT,
            "a part of the archive's head has %zu bytes, more than a chunk can hold",
            size);
    rmt_chunk_make(&chunk, data, size, self->room);
    if (id_out)
        *id_out = chunk.id;
    return rmt_offer_chunk(self->offer, &chunk, error);
}

// How the part with the signatures of an image begins; others are chunks.
static const char s_signatures[] = "class=signature key=";

// What the archive says of its image: the descriptor, then the single chunks it names,
// then its signatures.
static int
s_read_head(s_import_t *self, const void *head, size_t size, rmt_error_t *error)
{
    size_t at = 0, part_size = 0;
    const void *part = NULL;
    int rc = head_parts_next(head, size, &at, &part, &part_size, error);
    if (rc != 1)
        return rc == 0 ? rmt_fail(error, RMT_E_CORRUPT, "the archive's head is empty")
                       : -1;
    self->descriptor =
        rmt_codec_unpack_records(part, part_size, RMT_CHUNK_PLAIN_MAX, error);
    if (!self->descriptor)
        return rmt_wrap(error, "the archive's head");
    while ((rc = head_parts_next(head, size, &at, &part, &part_size, error)) == 1) {
        if (part_size > strlen(s_signatures) &&
            memcmp(part, s_signatures, strlen(s_signatures)) == 0)
            self->signatures = strndup(part, part_size);
        else if (s_offer_part(self, part, part_size, NULL, error) == -1)
            return -1;
    }
    return rc;
}

// Hardware, layout and system; what that image has left out, or could not read, says
// nothing of this archive.
static void
s_adopt(s_import_t *self, const rmt_records_t *descriptor)
{
    self->descriptor = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(descriptor); i++) {
        const rmt_record_t *record = rmt_records_at(descriptor, i);
        const char *part = rmt_record_text(record, "part", "");
        if (streq(part, "exclude") || streq(part, "list"))
            continue;
        rmt_record_t *copy = rmt_record_dup(record);
        rmt_records_append(self->descriptor, &copy);
    }
    rmt_record_t *image = rmt_records_find(self->descriptor, "class", "image");
    if (!image)
        return;
    rmt_record_set(image, "state", "COMPLETE");
    rmt_record_remove(image, "fuzzy");
    rmt_record_remove(image, "unreadable");
}

// Another image lends its hardware, layout and system. Its single chunks are fetched from
// where it lies, which may be another place.
static int
s_take_like(s_import_t *self, const char *name, rmt_error_t *error)
{
    static const char *const fields[] = {"chunks", "facts"};
    rmt_auto(image) like = image_open(self->call, name, error);
    if (!like)
        return -1;
    for (size_t i = 0; i < 2 * rmt_records_count(like->descriptor); i++) {
        const rmt_record_t *record = rmt_records_at(like->descriptor, i / 2);
        rmt_auto_str list = rmt_text("%s", rmt_record_text(record, fields[i % 2], ""));
        char *rest = NULL;
        for (char *word = strtok_r(list, " ", &rest); word;
             word = strtok_r(NULL, " ", &rest)) {
            rmt_id_t id;
            size_t size;
            if (rmt_id_parse(&id, word, error) == -1 ||
                rmt_fetch_read(like->fetch, &id, self->plain, &size, error) == -1 ||
                s_offer_part(self, self->plain, size, NULL, error) == -1)
                return -1;
        }
    }
    s_adopt(self, like->descriptor);
    return 0;
}

static int
s_describe(s_import_t *self, rmt_error_t *error)
{
    const char *like = rmt_record_text(self->call->options, "like", NULL);
    size_t size = 0;
    const void *head = rmt_archive_reader_head(self->reader, &size);
    if (like)
        return s_take_like(self, like, error);
    if (head)
        return s_read_head(self, head, size, error);
    return rmt_fail(
        error, RMT_E_USAGE,
        "the archive does not describe its machine, because `ramet image export` did not "
        "write it; name an image of such a machine with --like IMAGE");
}

// The volumes that have a place in the tree; those without hold nothing.
static int
s_find_volumes(s_import_t *self, rmt_error_t *error)
{
    for (size_t i = 0; i < rmt_records_count(self->descriptor); i++) {
        rmt_record_t *record = rmt_records_at(self->descriptor, i);
        const char *mount = rmt_record_text(record, "mount", "");
        if (!rmt_record_is(record, "class", "volume") || *mount != '/')
            continue;
        if (self->volume_count == RMT_LAYOUT_VOLUMES_MAX)
            return rmt_fail(error, RMT_E_TOO_BIG, "the image has more than %d volumes",
                            RMT_LAYOUT_VOLUMES_MAX);
        self->volumes[self->volume_count++] = (s_volume_t){
            .record = record, .mount = mount + 1, .list = rmt_archive_list_new()};
    }
    return self->volume_count ? 0
                              : rmt_fail(error, RMT_E_CORRUPT, "the image has no volume");
}

// ---- Entries

// What of a path lies in a volume, or NULL.
static const char *
s_inside(const s_volume_t *volume, const char *path)
{
    const size_t size = strlen(volume->mount);
    if (size == 0)
        return path;
    if (strncmp(path, volume->mount, size) != 0)
        return NULL;
    return path[size] == '/' ? path + size + 1 : path[size] ? NULL : path + size;
}

// The volume that a path belongs to: the one whose mount point is deepest. The folder
// itself comes twice, first as that of the volume around, then as the root of its own.
static s_volume_t *
s_volume_of(s_import_t *self, const char *path, const char **rest_out)
{
    s_volume_t *best = NULL;
    for (size_t i = 0; i < self->volume_count; i++) {
        s_volume_t *volume = &self->volumes[i];
        const char *rest = s_inside(volume, path);
        if (!rest || (best && strlen(best->mount) >= strlen(volume->mount)))
            continue;
        if (*rest == '\0' && *volume->mount && !volume->is_met) {
            volume->is_met = true;
            continue;
        }
        best = volume;
        *rest_out = rest;
    }
    return best;
}

static int
s_take_entry(s_import_t *self, rmt_entry_t *entry, const char *link, rmt_error_t *error)
{
    const char *rest = NULL, *link_rest = NULL;
    s_volume_t *volume = s_volume_of(self, entry->path, &rest);
    if (!link && S_ISREG(entry->mode) &&
        rmt_archive_cutter_run(self->cutter, self->reader, entry, s_sink, self, error) ==
            -1)
        return -1;
    if (!volume)
        return rmt_fail(error, RMT_E_CORRUPT, "the image has no volume that contains /%s",
                        entry->path);
    if (link && !(link_rest = s_inside(volume, link)))
        return rmt_fail(error, RMT_E_CORRUPT, "/%s is a hard link into another volume",
                        entry->path);
    entry->path = rest;
    entry->path_size = strlen(rest);
    return rmt_archive_list_add(volume->list, entry, link_rest, error);
}

static int
s_take_all(s_import_t *self, rmt_error_t *error)
{
    rmt_entry_t entry;
    const char *link;
    int rc;
    while ((rc = rmt_archive_reader_next(self->reader, &entry, &link, error)) == 1)
        if (s_take_entry(self, &entry, link, error) == -1)
            return -1;
    return rc;
}

// ---- The image

static int
s_set_root(s_import_t *self, rmt_record_t *volume, rmt_archive_list_t *list,
           rmt_archive_totals_t *totals, rmt_error_t *error)
{
    rmt_id_t root;
    char text[RMT_ID_TEXT_SIZE];
    if (rmt_archive_list_write(list, s_sink, self, &root, totals, error) == -1)
        return -1;
    rmt_record_set(volume, "root", rmt_id_text(&root, text));
    rmt_record_set_u64(volume, "files", totals->entries);
    rmt_record_set_u64(volume, "bytes-tree", totals->size);
    return 0;
}

// Volumes without a tree name the manifest of none.
static int
s_set_empty(s_import_t *self, rmt_error_t *error)
{
    rmt_auto(rmt_manifest_writer) writer = rmt_manifest_writer_new(s_sink, self);
    rmt_id_t root;
    char text[RMT_ID_TEXT_SIZE];
    if (rmt_manifest_writer_finish(writer, &root, error) == -1)
        return -1;
    for (size_t i = 0; i < rmt_records_count(self->descriptor); i++) {
        rmt_record_t *record = rmt_records_at(self->descriptor, i);
        if (rmt_record_is(record, "class", "volume") &&
            rmt_record_text(record, "mount", "")[0] != '/')
            rmt_record_set(record, "root", rmt_id_text(&root, text));
    }
    return 0;
}

static int
s_seal(s_import_t *self, rmt_id_t *id_out, rmt_error_t *error)
{
    rmt_archive_totals_t all = {0};
    for (size_t i = 0; i < self->volume_count; i++) {
        rmt_archive_totals_t totals;
        if (s_set_root(self, self->volumes[i].record, self->volumes[i].list, &totals,
                       error) == -1)
            return -1;
        all.entries += totals.entries;
        all.size += totals.size;
    }
    rmt_record_t *image = rmt_records_find(self->descriptor, "class", "image");
    if (!image)
        return rmt_fail(error, RMT_E_CORRUPT,
                        "the descriptor has no record of the image");
    rmt_record_set_u64(image, "files", all.entries);
    rmt_record_set_u64(image, "bytes", all.size);
    if (s_set_empty(self, error) == -1)
        return -1;
    rmt_auto(zchunk) packed = rmt_codec_pack_records(self->descriptor);
    if (s_offer_part(self, zchunk_data(packed), zchunk_size(packed), id_out, error) == -1)
        return -1;
    return rmt_offer_seal(self->offer, error);
}

static int
s_submit(s_import_t *self, const char *name, const rmt_id_t *id, rmt_error_t *error)
{
    char text[RMT_ID_TEXT_SIZE];
    const rmt_record_t *image = rmt_records_find(self->descriptor, "class", "image");
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "name", name);
    rmt_record_set(body, "place", self->place);
    rmt_record_set(body, "descriptor", rmt_id_text(id, text));
    rmt_record_set(body, "source", rmt_record_text(image, "source", ""));
    // An archive that was changed makes another image, of which they are not true.
    if (self->signatures && release_put(self->call, id, self->signatures, error) == -1)
        return -1;
    rmt_auto(rmt_msg) reply = call_request(self->call, "image.import", body, NULL, error);
    return reply ? watch_made(self->call, reply, error) : -1;
}

static int
s_import(s_import_t *self, int fd, const char *name, rmt_error_t *error)
{
    rmt_id_t id;
    self->reader = rmt_archive_reader_new(fd, error);
    if (!self->reader || s_open_offer(self, name, error) == -1 ||
        s_describe(self, error) == -1 || s_find_volumes(self, error) == -1 ||
        s_take_all(self, error) == -1 || s_seal(self, &id, error) == -1)
        return -1;
    return s_submit(self, name, &id, error);
}

int
archive_import(call_t *call, rmt_error_t *error)
{
    const char *path = call->operands[0];
    const char *name = rmt_record_text(call->options, "name", NULL);
    if (!name)
        return rmt_fail(error, RMT_E_USAGE, "the image needs a name: --name NAME");
    const bool is_stream = strcmp(path, "-") == 0;
    rmt_auto_fd fd = is_stream ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open %s", path);
    s_import_t self = {.call = call};
    self.cutter = rmt_archive_cutter_new();
    self.plain = malloc(RMT_CHUNK_PLAIN_MAX);
    self.room = malloc(RMT_CHUNK_STORED_MAX);
    assert(self.plain && self.room);
    const int result = s_import(&self, fd, name, error);
    s_close(&self);
    return result;
}
