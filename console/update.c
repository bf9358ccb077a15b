#include "console/update.h"
#include "console/contents.h"
#include "console/image.h"
#include "console/output.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "mount/rmt_chunk_cache.h"
#include "tree/rmt_beneath.h"
#include "tree/rmt_converge.h"
#include "tree/rmt_copy.h"
#include "tree/rmt_glob.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// Globs, NULL-terminated, with the number of the user's own that each came from.
typedef struct {
    char **items;
    size_t *origins; // NOT_TOLD for a mount point
    size_t count, room, origins_room;
} globs_t;
#define NOT_TOLD SIZE_MAX
// Of a manifest that is kept; some 400,000 names.
#define MANIFEST_SIZE_MAX ((size_t) 64 * 1024 * 1024)

typedef struct {
    const rmt_record_t *record;
    image_t *image;
    rmt_id_t root;
    rmt_id_t *chunks; // Of its manifest, without the first
    size_t chunk_count;
    rmt_chunk_cache_t *manifest; // Its chunks, as long as they fit
    globs_t keeps;
    bool is_kept; // All of it
    int fd;       // -1: the folder is not there yet
    rmt_converge_t *converge;
} volume_t;

typedef struct {
    image_t *image;
    int folder;
    globs_t keeps; // As they were told
    size_t *kept;  // What each has matched
    volume_t *volumes;
    size_t count;
    rmt_converge_report_t sum;
} update_t;

// ---- Globs

static void
s_add_glob(globs_t *globs, char *glob, size_t origin)
{
    rmt_grow(&globs->items, &globs->room, globs->count + 2);
    rmt_grow(&globs->origins, &globs->origins_room, globs->count + 1);
    globs->items[globs->count] = glob;
    globs->origins[globs->count++] = origin;
    globs->items[globs->count] = NULL;
}

static void
s_free_globs(globs_t *globs)
{
    for (size_t i = 0; i < globs->count; i++)
        free(globs->items[i]);
    free(globs->items);
    free(globs->origins);
}

static void
s_read_globs(update_t *self, const char *told)
{
    for (; *told; told += told[0] == '\n') {
        const size_t size = strcspn(told, "\n");
        if (size)
            s_add_glob(&self->keeps, rmt_text("%.*s", (int) size, told),
                       self->keeps.count);
        told += size;
    }
    self->kept = calloc(self->keeps.count + 1, sizeof *self->kept);
    assert(self->kept);
}

// Volumes below this one are updated by themselves: their places are left alone here.
static void
s_keep_volumes_below(const update_t *self, volume_t *volume)
{
    const char *own = image_mount(volume->record);
    const size_t size = strlen(own);
    for (size_t i = 0; i < self->count; i++) {
        const char *mount = image_mount(self->volumes[i].record);
        if (strncmp(mount, own, size) == 0 && mount[size] == '/')
            s_add_glob(&volume->keeps, rmt_glob_quote(mount + size), NOT_TOLD);
    }
}

static void
s_find_globs(update_t *self, volume_t *volume)
{
    for (size_t i = 0; i < self->keeps.count; i++) {
        rmt_auto_str below =
            rmt_glob_below(self->keeps.items[i], image_mount(volume->record));
        if (below && !*below && *image_mount(volume->record)) {
            volume->is_kept = true;
            self->kept[i]++;
        } else if (below && *below) {
            s_add_glob(&volume->keeps, rmt_take(&below), i);
        }
    }
    s_keep_volumes_below(self, volume);
}

// ---- What is to be done

// A manifest is read up to three times, and its chunks are on their way while it is read
// for the first time.
static int
s_read_manifest(void *context, const rmt_id_t *id, void *plain_out, size_t *size_out,
                rmt_error_t *error)
{
    volume_t *volume = context;
    rmt_fetch_t *fetch = volume->image->fetch;
    const void *kept = rmt_chunk_cache_get(volume->manifest, id, size_out);
    if (kept) {
        memcpy(plain_out, kept, *size_out);
        return 0;
    }
    if (rmt_fetch_read(fetch, id, plain_out, size_out, error) == -1)
        return -1;
    rmt_chunk_cache_put(volume->manifest, id, plain_out, *size_out);
    if (rmt_id_equal(id, &volume->root))
        rmt_fetch_expect(fetch, volume->chunks, volume->chunk_count);
    return 0;
}

static int
s_open_manifest(volume_t *volume, rmt_error_t *error)
{
    if (rmt_id_parse(&volume->root, rmt_record_text(volume->record, "root", ""), error) ==
        -1)
        return -1;
    rmt_auto(rmt_manifest_reader) reader = rmt_manifest_reader_new(
        &volume->root, rmt_fetch_read, volume->image->fetch, error);
    if (!reader)
        return -1;
    volume->manifest = rmt_chunk_cache_new(MANIFEST_SIZE_MAX);
    const rmt_id_t *chunks = rmt_manifest_reader_chunks(reader, &volume->chunk_count);
    volume->chunks = rmt_copy_bytes(chunks, volume->chunk_count * sizeof *chunks);
    return 0;
}

static int
s_count_new(void *context, const rmt_record_t *record, const rmt_entry_t *entry,
            rmt_error_t *error)
{
    (void) record;
    (void) error;
    rmt_converge_report_t *sum = context;
    sum->made++;
    sum->size += rmt_copy_data_size(entry);
    sum->fetched += rmt_copy_data_size(entry);
    return 0;
}

static int
s_survey(update_t *self, volume_t *volume, rmt_error_t *error)
{
    const rmt_converge_options_t options = {
        .root = &volume->root,
        .source = s_read_manifest,
        .source_context = volume,
        .tree_fd = volume->fd,
        .keeps = (const char *const *) volume->keeps.items};
    volume->converge = rmt_converge_new(&options, error);
    if (!volume->converge)
        return rmt_wrap(error, "%s", rmt_record_text(volume->record, "mount", "/"));
    for (size_t i = 0; i < volume->keeps.count; i++)
        if (volume->keeps.origins[i] != NOT_TOLD)
            self->kept[volume->keeps.origins[i]] +=
                rmt_converge_kept(volume->converge, i);
    return 0;
}

static void
s_add(rmt_converge_report_t *sum, const rmt_converge_report_t *more)
{
    sum->same += more->same;
    sum->changed += more->changed;
    sum->made += more->made;
    sum->removed += more->removed;
    sum->size += more->size;
    sum->fetched += more->fetched;
}

// The folder of a volume below that of the checkout. No symlink is followed: behind one
// lie names that another volume has, and its update would remove them. -1: NOT_FOUND, IO.
static int
s_open_volume(const update_t *self, const volume_t *volume, rmt_error_t *error)
{
    const char *mount = rmt_record_text(volume->record, "mount", "/");
    const char *path = mount + strspn(mount, "/");
    const int fd = rmt_beneath_open(self->folder, *path ? path : ".",
                                    O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd == -1)
        (void) rmt_fail_errno(
            error,
            "open %.512s, where the image mounts a volume; an update follows no "
            "symlink, so check the image out into an empty folder",
            mount);
    return fd;
}

// Is it the path of a mount point, or of a folder above one? NULL: of none.
static const char *
s_mount_below(const update_t *self, const char *path)
{
    const size_t size = strlen(path);
    for (size_t i = 0; i < self->count; i++) {
        const char *mount = image_mount(self->volumes[i].record);
        if (strncmp(mount, path, size) == 0 && (!mount[size] || mount[size] == '/'))
            return mount;
    }
    return NULL;
}

// Places of volumes are left alone in those around them, so a symlink that has the place
// would not be made.
static int
s_check_symlinks(const update_t *self, volume_t *volume, rmt_error_t *error)
{
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(&volume->root, s_read_manifest, volume, error);
    rmt_entry_t entry;
    int rc = -1;
    while (reader && (rc = rmt_manifest_reader_next(reader, &entry, error)) == 1) {
        if (!S_ISLNK(entry.mode))
            continue;
        rmt_auto_str path = rmt_text("%s/%s", image_mount(volume->record), entry.path);
        const char *mount = s_mount_below(self, path);
        if (mount)
            return rmt_fail(error, RMT_E_UNSUPPORTED,
                            "a symlink of the image leads to the mount point %.200s, "
                            "which an update does not support; check the image out into "
                            "an empty folder",
                            mount);
    }
    return rc;
}

static int
s_plan_volume(update_t *self, volume_t *volume, rmt_error_t *error)
{
    s_find_globs(self, volume);
    if (volume->is_kept)
        return 0;
    if (s_open_manifest(volume, error) == -1 ||
        (self->count > 1 && s_check_symlinks(self, volume, error) == -1))
        return -1;
    rmt_error_t why = {0};
    volume->fd = s_open_volume(self, volume, &why);
    if (volume->fd == -1 && why.code == RMT_E_NOT_FOUND)
        return image_each_entry(self->image, volume->record, s_count_new, &self->sum,
                                error);
    if (volume->fd == -1) {
        *error = why;
        return -1;
    }
    if (s_survey(self, volume, error) == -1)
        return -1;
    s_add(&self->sum, rmt_converge_plan(volume->converge));
    return 0;
}

static int
s_plan(update_t *self, const char *folder, rmt_error_t *error)
{
    while (image_volume(self->image, self->count))
        self->count++;
    self->volumes = calloc(self->count + 1, sizeof *self->volumes);
    assert(self->volumes);
    for (size_t i = 0; i < self->count; i++)
        self->volumes[i] = (volume_t){
            .record = image_volume(self->image, i), .image = self->image, .fd = -1};
    for (size_t i = 0; i < self->count; i++)
        if (s_plan_volume(self, &self->volumes[i], error) == -1)
            return -1;
    for (size_t i = 0; i < self->keeps.count; i++)
        if (!self->kept[i])
            return rmt_fail(
                error, RMT_E_NOT_FOUND,
                "--keep %.200s matches nothing in %.200s; nothing was changed",
                self->keeps.items[i], folder);
    return 0;
}

// ---- Doing it

static int
s_do_volume(update_t *self, volume_t *volume, rmt_error_t *error)
{
    const char *mount = rmt_record_text(volume->record, "mount", "/");
    if (volume->is_kept)
        return 0;
    if (volume->fd == -1 && rmt_rooted_mkdirs(self->folder, mount, error) == -1)
        return rmt_wrap(error, "make %.512s for the volume that is mounted there", mount);
    if (volume->fd == -1)
        volume->fd = s_open_volume(self, volume, error);
    if (volume->fd == -1 || (!volume->converge && s_survey(self, volume, error) == -1))
        return -1;
    size_t count;
    rmt_auto_ptr missing = rmt_converge_missing(volume->converge, &count);
    rmt_fetch_expect(self->image->data, missing, count);
    rmt_converge_report_t done;
    if (rmt_converge_run(volume->converge, rmt_fetch_read, self->image->data, &done,
                         error) == -1)
        return rmt_wrap(error, "%s", mount);
    s_add(&self->sum, &done);
    return 0;
}

static int
s_show(const update_t *self, const call_t *call, rmt_error_t *error)
{
    const rmt_converge_report_t *sum = &self->sum;
    uint64_t kept = 0;
    for (size_t i = 0; i < self->keeps.count; i++)
        kept += self->kept[i];
    rmt_auto(rmt_record) record = rmt_record_new();
    rmt_record_set_u64(record, "same", sum->same);
    rmt_record_set_u64(record, "changed", sum->changed);
    rmt_record_set_u64(record, "made", sum->made);
    rmt_record_set_u64(record, "removed", sum->removed);
    rmt_record_set_u64(record, "kept", kept);
    rmt_record_set_u64(record, "bytes", sum->size);
    rmt_record_set_u64(record, "fetched", sum->fetched);
    return output_record(record, NULL, NULL, NULL, &call->view, error);
}

static int
s_update(update_t *self, call_t *call, rmt_error_t *error)
{
    const char *folder = call->operands[1];
    if (s_plan(self, folder, error) == -1)
        return -1;
    if (rmt_record_has(call->options, "dry-run"))
        return s_show(self, call, error);
    if (!rmt_record_has(call->options, "yes"))
        return rmt_fail(error, RMT_E_REFUSED,
                        "in %.200s %" PRIu64 " names would be removed, %" PRIu64
                        " made and %" PRIu64 " changed; to do it add --yes",
                        folder, self->sum.removed, self->sum.made, self->sum.changed);
    // The right to fetch may have ended while the folder was read.
    if (image_renew(self->image, error) == -1)
        return -1;
    self->sum = (rmt_converge_report_t){0};
    for (size_t i = 0; i < self->count; i++)
        if (s_do_volume(self, &self->volumes[i], error) == -1)
            return -1;
    return s_show(self, call, error);
}

int
update_folder(call_t *call, rmt_error_t *error)
{
    const char *folder = call->operands[1];
    rmt_auto_fd fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open the folder %s", folder);
    rmt_auto(image) image = image_open(call, call->operands[0], error);
    if (!image)
        return -1;
    update_t self = {.image = image, .folder = fd};
    s_read_globs(&self, rmt_record_text(call->options, "keep", ""));
    const int result = s_update(&self, call, error);
    for (size_t i = 0; i < self.count; i++) {
        volume_t *volume = &self.volumes[i];
        rmt_converge_destroy(&volume->converge);
        if (volume->fd != -1)
            close(volume->fd);
        free(volume->chunks);
        rmt_chunk_cache_destroy(&volume->manifest);
        s_free_globs(&volume->keeps);
    }
    free(self.volumes);
    free(self.kept);
    s_free_globs(&self.keeps);
    return result;
}
