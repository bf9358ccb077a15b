#include "store/rmt_image.h"
#include "base/rmt_auto.h"
#include "base/rmt_failpoint.h"
#include "wire/rmt_codec.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "store/rmt_lock.h"
#include "store/rmt_manifest.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

// Fields of any record that hold ids of single chunks, with spaces between.
static const char *const s_chunk_fields[] = {"chunks", "facts"};

static char *
s_path(const rmt_store_t *self, const rmt_id_t *id)
{
    char text[RMT_ID_TEXT_SIZE];
    return rmt_text("%s/images/%s", rmt_store_root(self), rmt_id_text(id, text));
}

// ---- What an image needs

static int
s_parse_id(rmt_id_t *id_out, const char *text, const char *field, rmt_error_t *error)
{
    if (rmt_id_parse(id_out, text, error) == 0)
        return 0;
    char shown[80];
    return rmt_fail(error, RMT_E_CORRUPT, "field %s is not an id: %s", field,
                    rmt_log_escape(shown, sizeof shown, text));
}

static int
s_visit_entries(rmt_manifest_reader_t *reader, rmt_visit_fn *visit, void *context,
                rmt_error_t *error)
{
    rmt_entry_t entry;
    int found;
    while ((found = rmt_manifest_reader_next(reader, &entry, error)) == 1)
        for (size_t i = 0; i < entry.chunk_count; i++)
            if (visit(context, &entry.chunks[i], entry.path, error) == -1)
                return -1;
    return found;
}

static int
s_visit_manifest(rmt_store_t *self, const rmt_id_t *root, rmt_visit_fn *visit,
                 void *context, rmt_error_t *error)
{
    if (visit(context, root, NULL, error) == -1)
        return -1;
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(root, rmt_store_read, self, error);
    if (!reader)
        return -1;
    size_t count = 0;
    const rmt_id_t *chunks = rmt_manifest_reader_chunks(reader, &count);
    for (size_t i = 0; i < count; i++)
        if (visit(context, &chunks[i], NULL, error) == -1)
            return -1;
    return s_visit_entries(reader, visit, context, error);
}

static int
s_visit_list(const char *field, const char *list, rmt_visit_fn *visit, void *context,
             rmt_error_t *error)
{
    rmt_auto_str copy = rmt_text("%s", list);
    char *rest = NULL;
    for (char *at = strtok_r(copy, " ", &rest); at; at = strtok_r(NULL, " ", &rest)) {
        rmt_id_t id;
        if (s_parse_id(&id, at, field, error) == -1 ||
            visit(context, &id, NULL, error) == -1)
            return -1;
    }
    return 0;
}

int
rmt_image_visit(rmt_store_t *self, const rmt_record_t *record, rmt_visit_fn *visit,
                void *context, rmt_error_t *error)
{
    for (size_t i = 0; i < sizeof s_chunk_fields / sizeof s_chunk_fields[0]; i++) {
        const char *field = s_chunk_fields[i];
        if (s_visit_list(field, rmt_record_text(record, field, ""), visit, context,
                         error) == -1)
            return -1;
    }
    const char *text = rmt_record_text(record, "root", NULL);
    if (!text) {
        const char *class = rmt_record_text(record, "class", "");
        return strcmp(class, "volume") == 0
                   ? rmt_fail(error, RMT_E_CORRUPT, "a volume has no root")
                   : 0;
    }
    rmt_id_t root;
    if (s_parse_id(&root, text, "root", error) == -1)
        return -1;
    return s_visit_manifest(self, &root, visit, context, error);
}

// ---- Saving

static int
s_require(void *context, const rmt_id_t *id, const char *path, rmt_error_t *error)
{
    if (rmt_store_can_read(context, id))
        return 0;
    char text[RMT_ID_TEXT_SIZE], shown[200];
    return rmt_fail(error, RMT_E_CORRUPT, "chunk %s of %s is missing",
                    rmt_id_text(id, text),
                    path ? rmt_log_escape(shown, sizeof shown, path) : "the image");
}

static int
s_check_complete(rmt_store_t *self, const void *data, size_t size, rmt_error_t *error)
{
    rmt_auto(rmt_records) records =
        rmt_codec_unpack_records(data, size, RMT_IMAGE_SIZE_MAX, error);
    if (!records) {
        error->code = RMT_E_CORRUPT;
        return rmt_wrap(error, "descriptor");
    }
    for (size_t i = 0; i < rmt_records_count(records); i++)
        if (rmt_image_visit(self, rmt_records_at(records, i), s_require, self, error) ==
            -1) {
            // A chunk that the store has not is a defect of what was handed in.
            if (error->code == RMT_E_NOT_FOUND)
                error->code = RMT_E_CORRUPT;
            return -1;
        }
    return 0;
}

int
rmt_store_image_put(rmt_store_t *self, const void *data, size_t size, rmt_id_t *id_out,
                    rmt_error_t *error)
{
    if (rmt_store_commit(self, error) == -1)
        return -1;
    // With the lock, gc cannot take away between the check and the name.
    rmt_auto_fd lock =
        rmt_lock_take(rmt_store_root(self), RMT_LOCK_IMAGES, LOCK_SH, error);
    if (lock == -1 || rmt_store_refresh(self, error) == -1)
        return -1;
    if (s_check_complete(self, data, size, error) == -1)
        return rmt_wrap(error, "check the image");
    rmt_id_t id;
    rmt_id_compute(&id, data, size);
    rmt_auto_str path = s_path(self, &id);
    if (RMT_FAILPOINT("store.image.publish") == -1)
        return rmt_fail_errno(error, "publish %s", path);
    if (rmt_io_save(path, data, size, 0600, error) == -1)
        return -1;
    (void) RMT_FAILPOINT("store.image.published");
    *id_out = id;
    return 0;
}

// ---- Reading

int
rmt_store_image_get(rmt_store_t *self, const rmt_id_t *id, void **data_out,
                    size_t *size_out, rmt_error_t *error)
{
    char text[RMT_ID_TEXT_SIZE];
    rmt_auto_str path = s_path(self, id);
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    if (rmt_io_load(path, RMT_IMAGE_SIZE_MAX, &data, &size, error) == -1) {
        if (error->code == RMT_E_TOO_BIG)
            error->code = RMT_E_CORRUPT;
        return rmt_wrap(error, "image %s", rmt_id_text(id, text));
    }
    rmt_id_t found;
    rmt_id_compute(&found, data, size);
    if (!rmt_id_equal(&found, id))
        return rmt_fail(error, RMT_E_CORRUPT, "image %s: the bytes do not match the id",
                        rmt_id_text(id, text));
    *data_out = rmt_take(&data);
    *size_out = size;
    return 0;
}

rmt_records_t *
rmt_image_load(rmt_store_t *self, const rmt_id_t *id, rmt_error_t *error)
{
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    if (rmt_store_image_get(self, id, &data, &size, error) == -1)
        return NULL;
    rmt_records_t *records =
        rmt_codec_unpack_records(data, size, RMT_IMAGE_SIZE_MAX, error);
    if (!records)
        error->code = RMT_E_CORRUPT;
    return records;
}

static void
s_close_folder(DIR **folder)
{
    if (*folder)
        closedir(*folder);
}

rmt_records_t *
rmt_store_image_list(rmt_store_t *self, rmt_error_t *error)
{
    rmt_auto_str path = rmt_text("%s/images", rmt_store_root(self));
    __attribute__((cleanup(s_close_folder))) DIR *folder = opendir(path);
    if (!folder) {
        rmt_fail_errno(error, "open folder %s", path);
        return NULL;
    }
    rmt_auto(rmt_records) records = rmt_records_new();
    errno = 0;
    for (struct dirent *entry; (entry = readdir(folder)); errno = 0) {
        rmt_id_t id;
        rmt_error_t ignored;
        struct stat status;
        // Signatures and what a crash left behind have other names.
        if (rmt_id_parse(&id, entry->d_name, &ignored) == -1 ||
            fstatat(dirfd(folder), entry->d_name, &status, 0) == -1)
            continue;
        rmt_record_t *record = rmt_records_add(records);
        rmt_record_set(record, "id", entry->d_name);
        rmt_record_set_u64(record, "size", (uint64_t) status.st_size);
    }
    if (errno) {
        rmt_fail_errno(error, "read folder %s", path);
        return NULL;
    }
    return rmt_take(&records);
}

int
rmt_store_image_remove(rmt_store_t *self, const rmt_id_t *id, rmt_error_t *error)
{
    rmt_auto_str path = s_path(self, id);
    if (RMT_FAILPOINT("store.image.remove") == -1 || unlink(path) == -1)
        return rmt_fail_errno(error, "remove image %s", path);
    return rmt_io_sync_parent(path, error);
}

// Signatures go first, so that a crash leaves no signature without its image.
static int
s_remove_signatures(const rmt_store_t *self, const char *id, rmt_error_t *error)
{
    rmt_auto_str path = rmt_text("%s/images", rmt_store_root(self));
    __attribute__((cleanup(s_close_folder))) DIR *folder = opendir(path);
    if (!folder)
        return rmt_fail_errno(error, "open folder %s", path);
    rmt_auto_str prefix = rmt_text("%s.sig.", id);
    errno = 0;
    for (struct dirent *entry; (entry = readdir(folder)); errno = 0)
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
            unlinkat(dirfd(folder), entry->d_name, 0) == -1 && errno != ENOENT)
            return rmt_fail_errno(error, "remove %s/%s", path, entry->d_name);
    return errno ? rmt_fail_errno(error, "read folder %s", path) : 0;
}

int
rmt_store_image_retire(rmt_store_t *self, const rmt_id_t *id, int64_t before_s,
                       rmt_error_t *error)
{
    rmt_auto_fd lock =
        rmt_lock_take(rmt_store_root(self), RMT_LOCK_IMAGES, LOCK_EX, error);
    if (lock == -1)
        return -1;
    rmt_auto_str path = s_path(self, id);
    struct stat status;
    if (stat(path, &status) == -1)
        return errno == ENOENT ? 0 : rmt_fail_errno(error, "status of %s", path);
    if (status.st_mtime >= before_s)
        return 0;
    char text[RMT_ID_TEXT_SIZE];
    if (s_remove_signatures(self, rmt_id_text(id, text), error) == -1 ||
        rmt_store_image_remove(self, id, error) == -1)
        return -1;
    return 1;
}
