#include "console/image_archive.h"
#include "console/head_parts.h"
#include "console/image.h"
#include "console/output.h"
#include "archive/rmt_archive_writer.h"
#include "base/rmt_auto.h"
#include "base/rmt_failpoint.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    image_t *image;
    rmt_archive_writer_t *writer;
    uint8_t *plain; // [RMT_CHUNK_PLAIN_MAX]
} export_t;

// ---- The head: descriptor, and the single chunks that it names

static int
s_add_chunks(export_t *self, const char *list, rmt_buffer_t *head, rmt_error_t *error)
{
    rmt_auto_str copy = rmt_text("%s", list);
    char *rest = NULL;
    for (char *word = strtok_r(copy, " ", &rest); word;
         word = strtok_r(NULL, " ", &rest)) {
        rmt_id_t id;
        size_t size;
        if (rmt_id_parse(&id, word, error) == -1 ||
            rmt_fetch_read(self->image->fetch, &id, self->plain, &size, error) == -1)
            return -1;
        head_parts_add(head, self->plain, size);
    }
    return 0;
}

static int
s_make_head(export_t *self, rmt_buffer_t *head, rmt_error_t *error)
{
    size_t size;
    if (rmt_fetch_read(self->image->fetch, &self->image->id, self->plain, &size, error) ==
        -1)
        return -1;
    head_parts_add(head, self->plain, size);
    for (size_t i = 0; i < rmt_records_count(self->image->descriptor); i++) {
        const rmt_record_t *record = rmt_records_at(self->image->descriptor, i);
        if (s_add_chunks(self, rmt_record_text(record, "chunks", ""), head, error) ==
                -1 ||
            s_add_chunks(self, rmt_record_text(record, "facts", ""), head, error) == -1)
            return -1;
    }
    if (*self->image->signatures)
        head_parts_add(head, self->image->signatures, strlen(self->image->signatures));
    return 0;
}

// ---- The files

static int
s_export_entry(void *context, const rmt_record_t *volume, const rmt_entry_t *entry,
               rmt_error_t *error)
{
    (void) volume;
    export_t *self = context;
    if (rmt_archive_writer_entry(self->writer, entry, error) == -1)
        return -1;
    for (size_t i = 0; i < entry->chunk_count; i++) {
        size_t size;
        if (rmt_fetch_read(self->image->data, &entry->chunks[i], self->plain, &size,
                           error) == -1 ||
            rmt_archive_writer_data(self->writer, self->plain, size, error) == -1)
            return rmt_wrap(error, "/%s", entry->path);
    }
    return 0;
}

static int
s_export(export_t *self, int fd, rmt_archive_report_t *report, rmt_error_t *error)
{
    rmt_buffer_t head = {0};
    if (s_make_head(self, &head, error) == 0)
        self->writer = rmt_archive_writer_new(fd, head.data, head.used, error);
    rmt_buffer_clear(&head);
    if (!self->writer)
        return -1;
    const rmt_record_t *volume;
    for (size_t i = 0; (volume = image_volume(self->image, i)); i++) {
        const char *mount = image_mount(volume);
        rmt_archive_writer_volume(self->writer, mount + (*mount == '/'));
        if (image_expect_contents(self->image, volume, error) == -1 ||
            image_each_entry(self->image, volume, s_export_entry, self, error) == -1)
            return -1;
    }
    return rmt_archive_writer_finish(self->writer, report, error);
}

static void
s_show(const call_t *call, const rmt_archive_report_t *report)
{
    rmt_auto(rmt_record) result = rmt_record_new();
    rmt_record_set_u64(result, "files", report->entries);
    rmt_record_set_u64(result, "bytes", report->size);
    rmt_record_set_u64(result, "lost-projects", report->projects);
    rmt_record_set_u64(result, "lost-flags", report->flags);
    rmt_record_set_u64(result, "lost-marks", report->marks);
    rmt_record_set_u64(result, "lost-reserved", report->reserved);
    rmt_record_set_u64(result, "lost-hints", report->hints);
    rmt_record_set_u64(result, "odd-attribute-names", report->odd_names);
    rmt_error_t ignored = {0}; // A record alone is always shown
    (void) output_record(result, NULL, NULL, NULL, &call->view, &ignored);
}

// A file gets its name when it is whole. Until then it has a name that no other export
// and no symlink has.
static int
s_export_file(export_t *self, const char *path, rmt_archive_report_t *report,
              rmt_error_t *error)
{
    if (access(path, F_OK) == 0)
        return rmt_fail(error, RMT_E_EXISTS,
                        "the file %s exists; choose another name, or remove it first",
                        path);
    rmt_auto_str part = rmt_text("%s.part-XXXXXX", path);
    rmt_auto_fd fd = mkostemp(part, O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "create %s", part);
    if (s_export(self, fd, report, error) == -1)
        goto rollback;
    if (RMT_FAILPOINT("export.sync") == -1 || fsync(fd) == -1 ||
        RMT_FAILPOINT("export.rename") == -1 || rename(part, path) == -1) {
        (void) rmt_fail_errno(error, "publish %s", path);
        goto rollback;
    }
    return rmt_io_sync_parent(path, error);

rollback:
    (void) unlink(part);
    return -1;
}

int
archive_export(call_t *call, rmt_error_t *error)
{
    const char *path = call->operands[1];
    const bool is_stream = strcmp(path, "-") == 0;
    if (is_stream && isatty(STDOUT_FILENO))
        return rmt_fail(error, RMT_E_USAGE,
                        "ramet does not write an archive to a terminal; name a file, or "
                        "redirect the output");
    rmt_auto(image) image = image_open(call, call->operands[0], error);
    if (!image)
        return -1;
    rmt_auto_ptr plain = malloc(RMT_CHUNK_PLAIN_MAX);
    assert(plain);
    export_t self = {.image = image, .plain = plain};
    rmt_archive_report_t report = {0};
    const int result = is_stream ? s_export(&self, STDOUT_FILENO, &report, error)
                                 : s_export_file(&self, path, &report, error);
    rmt_archive_writer_destroy(&self.writer);
    if (result == 0 && !is_stream)
        s_show(call, &report);
    return result;
}
