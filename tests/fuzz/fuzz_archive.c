// A tar archive by anybody, on its way into an image: every name stays in the tree, the
// manifest that is made of the archive is read again, entry by entry, and so is its head.
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/rmt_archive_cutter.h"
#include "archive/rmt_archive_list.h"
#include "archive/rmt_archive_reader.h"
#include "archive/rmt_archive_writer.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "fuzz/must.h"

#define CHUNKS_MAX 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Chunks in memory, as a store has them.
typedef struct {
    rmt_id_t ids[CHUNKS_MAX];
    void *plains[CHUNKS_MAX];
    uint32_t sizes[CHUNKS_MAX];
    size_t count;
} shelf_t;

static int
s_put(void *context, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    shelf_t *shelf = context;
    if (shelf->count == CHUNKS_MAX)
        return rmt_fail(error, RMT_E_NO_SPACE, "the shelf is full");
    void *plain = malloc(chunk->plain_size);
    MUST(plain && rmt_chunk_open(chunk, plain, error) == 0);
    shelf->ids[shelf->count] = chunk->id;
    shelf->sizes[shelf->count] = chunk->plain_size;
    shelf->plains[shelf->count++] = plain;
    return 0;
}

static int
s_get(void *context, const rmt_id_t *id, void *plain_out, size_t *size_out,
      rmt_error_t *error)
{
    const shelf_t *shelf = context;
    for (size_t i = 0; i < shelf->count; i++)
        if (rmt_id_equal(&shelf->ids[i], id)) {
            memcpy(plain_out, shelf->plains[i], shelf->sizes[i]);
            *size_out = shelf->sizes[i];
            return 0;
        }
    return rmt_fail(error, RMT_E_NOT_FOUND, "no such chunk");
}

// No empty part, no "." and no ".."; "" is the root.
static void
s_check_path(const char *path)
{
    for (const char *part = path; *path && part;) {
        const size_t size = strcspn(part, "/");
        MUST(size > 0);
        MUST(!(size == 1 && part[0] == '.') &&
             !(size == 2 && memcmp(part, "..", 2) == 0));
        part = part[size] ? part + size + 1 : NULL;
    }
}

static int
s_read(rmt_archive_reader_t *reader, rmt_archive_list_t *list, shelf_t *shelf,
       rmt_error_t *error)
{
    rmt_auto(rmt_archive_cutter) cutter = rmt_archive_cutter_new();
    rmt_entry_t entry;
    const char *link;
    int rc;
    while ((rc = rmt_archive_reader_next(reader, &entry, &link, error)) == 1) {
        s_check_path(entry.path);
        MUST(entry.path_size == strlen(entry.path));
        if (link)
            s_check_path(link);
        else if (S_ISREG(entry.mode) && rmt_archive_cutter_run(cutter, reader, &entry,
                                                               s_put, shelf, error) == -1)
            return -1;
        if (rmt_archive_list_add(list, &entry, link, error) == -1)
            return -1;
    }
    return rc;
}

static void
s_import(rmt_archive_reader_t *reader, shelf_t *shelf)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_archive_list) list = rmt_archive_list_new();
    rmt_archive_totals_t totals;
    rmt_id_t root;
    if (s_read(reader, list, shelf, &error) == -1 ||
        rmt_archive_list_write(list, s_put, shelf, &root, &totals, &error) == -1) {
        MUST(error.code != RMT_E_OK);
        return;
    }
    rmt_auto(rmt_manifest_reader) manifest =
        rmt_manifest_reader_new(&root, s_get, shelf, &error);
    MUST(manifest);
    rmt_entry_t entry;
    uint64_t count = 0;
    int rc;
    while ((rc = rmt_manifest_reader_next(manifest, &entry, &error)) == 1)
        count++;
    MUST(rc == 0 && count == totals.entries);
}

// A head that was read can be written, and is then read as the same.
static void
s_check_head(const rmt_archive_reader_t *reader)
{
    rmt_error_t error = {0};
    size_t size = 0, size_again = 0;
    const void *head = rmt_archive_reader_head(reader, &size);
    if (!head)
        return;
    rmt_auto_fd fd = memfd_create("again", MFD_CLOEXEC);
    rmt_archive_report_t report;
    rmt_auto(rmt_archive_writer) writer = rmt_archive_writer_new(fd, head, size, &error);
    MUST(writer && rmt_archive_writer_finish(writer, &report, &error) == 0);
    MUST(lseek(fd, 0, SEEK_SET) == 0);
    rmt_auto(rmt_archive_reader) again = rmt_archive_reader_new(fd, &error);
    MUST(again);
    const void *same = rmt_archive_reader_head(again, &size_again);
    MUST(size_again == size && (size == 0 || memcmp(same, head, size) == 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rmt_error_t error = {0};
    rmt_auto_fd fd = memfd_create("archive", MFD_CLOEXEC);
    MUST(fd != -1 && rmt_io_write(fd, data, size, &error) == 0);
    MUST(lseek(fd, 0, SEEK_SET) == 0);
    rmt_auto_ptr memory = calloc(1, sizeof(shelf_t));
    shelf_t *shelf = memory;
    MUST(shelf);
    rmt_auto(rmt_archive_reader) reader = rmt_archive_reader_new(fd, &error);
    MUST(reader || error.code != RMT_E_OK);
    if (reader) {
        s_check_head(reader);
        s_import(reader, shelf);
    }
    for (size_t i = 0; i < shelf->count; i++)
        free(shelf->plains[i]);
    return 0;
}
