#include "store_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "wire/rmt_codec.h"
#include "base/rmt_io.h"
#include "store/rmt_manifest.h"

int
fixture_setup(void **state)
{
    const char *parent = getenv("TMPDIR");
    char *root = rmt_text("%s/ramet-store-XXXXXX", parent ? parent : "/tmp");
    *state = mkdtemp(root);
    return *state ? 0 : -1;
}

int
fixture_teardown(void **state)
{
    rmt_error_t error;
    const int result = rmt_io_remove_tree(*state, &error);
    free(*state);
    return result;
}

rmt_store_t *
fixture_open(const char *root)
{
    rmt_error_t error = {0};
    rmt_store_t *store = rmt_store_new(root, true, &error);
    assert_string_equal(error.text, "");
    RMT_OK(store);
    return store;
}

rmt_id_t
fixture_put(rmt_store_t *store, uint64_t seed, size_t size)
{
    static _Thread_local uint8_t plain[RMT_CHUNK_PLAIN_MAX], room[RMT_CHUNK_STORED_MAX];
    uint64_t x = seed * 2 + 0x9e3779b97f4a7c15;
    for (size_t i = 0; i < size; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        plain[i] = (uint8_t) (x >> 40);
    }
    // Half of the chunks shrink, so that both codecs are stored.
    if (seed % 2)
        memset(plain + size / 4, 'r', size / 2);
    rmt_chunk_t chunk;
    rmt_chunk_make(&chunk, plain, size, room);
    rmt_error_t error = {0};
    rmt_store_put(store, &chunk, &error);
    assert_string_equal(error.text, "");
    return chunk.id;
}

static int
s_sink(void *context, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    return rmt_store_put(context, chunk, error);
}

static rmt_id_t
s_put_manifest(rmt_store_t *store, uint64_t seed, size_t file_count)
{
    rmt_auto(rmt_manifest_writer) writer = rmt_manifest_writer_new(s_sink, store);
    rmt_error_t error = {0};
    rmt_entry_t entry = {.path = "", .mode = S_IFDIR | 0755};
    RMT_OK(rmt_manifest_writer_add(writer, &entry, &error));
    for (size_t i = 0; i < file_count; i++) {
        char path[32];
        const uint32_t size = 1000;
        const rmt_id_t id = fixture_put(store, seed + i, size);
        entry = (rmt_entry_t){.path = path,
                              .path_size =
                                  (size_t) snprintf(path, sizeof path, "file-%05zu", i),
                              .mode = S_IFREG | 0644,
                              .size = size,
                              .chunks = &id,
                              .chunk_sizes = &size,
                              .chunk_count = 1};
        RMT_OK(rmt_manifest_writer_add(writer, &entry, &error));
    }
    rmt_id_t root;
    RMT_OK(rmt_manifest_writer_finish(writer, &root, &error));
    return root;
}

void *
fixture_descriptor(rmt_store_t *store, uint64_t seed, size_t file_count, size_t *size_out)
{
    const rmt_id_t root = s_put_manifest(store, seed, file_count);
    const rmt_id_t facts = fixture_put(store, seed + 1000000, 100);
    char text[RMT_ID_TEXT_SIZE];
    rmt_auto(rmt_records) records = rmt_records_new();
    rmt_record_t *record = rmt_records_add(records);
    rmt_record_set(record, "class", "image");
    rmt_record_set(record, "facts", rmt_id_text(&facts, text));
    record = rmt_records_add(records);
    rmt_record_set(record, "class", "volume");
    rmt_record_set(record, "root", rmt_id_text(&root, text));
    rmt_auto(zchunk) packed = rmt_codec_pack_records(records);
    *size_out = zchunk_size(packed);
    void *data = malloc(*size_out);
    memcpy(data, zchunk_data(packed), *size_out);
    return data;
}

rmt_id_t
fixture_image(rmt_store_t *store, uint64_t seed, size_t file_count)
{
    size_t size = 0;
    rmt_auto_ptr data = fixture_descriptor(store, seed, file_count, &size);
    rmt_error_t error = {0};
    rmt_id_t id = {{0}};
    rmt_store_image_put(store, data, size, &id, &error);
    assert_string_equal(error.text, "");
    return id;
}

char *
fixture_file(const char *root, const char *folder, size_t n)
{
    rmt_auto_str path = rmt_text("%s/%s", root, folder);
    struct dirent **entries = NULL;
    const int count = scandir(path, &entries, NULL, alphasort);
    assert_true(count >= 2);
    char *found = NULL;
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.' && n-- == 0)
            found = rmt_text("%s/%s", path, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return found;
}

size_t
fixture_count(const char *root, const char *folder)
{
    size_t count = 0;
    for (;; count++) {
        rmt_auto_str path = fixture_file(root, folder, count);
        if (!path)
            return count;
    }
}

size_t
fixture_size(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return (size_t) status.st_size;
}

void
fixture_flip(const char *path, size_t bit)
{
    rmt_auto_fd fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd != -1);
    uint8_t byte = 0;
    assert_int_equal(pread(fd, &byte, 1, (off_t) (bit / 8)), 1);
    byte ^= (uint8_t) (1 << bit % 8);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t) (bit / 8)), 1);
}

void
fixture_gather(void *context, const rmt_store_finding_t *finding)
{
    char *all = context;
    const char *text = finding->text;
    const size_t used = strlen(all);
    snprintf(all + used, FIXTURE_TEXT_SIZE - used, "%s\n", text);
}

rmt_store_report_t
fixture_check(rmt_store_t *store, bool deep, const char **text_out)
{
    static char text[FIXTURE_TEXT_SIZE];
    text[0] = '\0';
    rmt_store_report_t report;
    rmt_error_t error = {0};
    const rmt_store_watch_t watch = {.finding = fixture_gather, .context = text};
    RMT_OK(rmt_store_check(store, deep, &watch, &report, &error));
    if (text_out)
        *text_out = text;
    return report;
}

void
fixture_assert_readable(rmt_store_t *store, const rmt_id_t *id)
{
    static uint8_t plain[RMT_CHUNK_PLAIN_MAX];
    size_t size = 0;
    rmt_error_t error = {0};
    rmt_store_read(store, id, plain, &size, &error);
    assert_string_equal(error.text, "");
    rmt_id_t again;
    rmt_id_compute(&again, plain, size);
    assert_true(rmt_id_equal(&again, id));
    rmt_chunk_t chunk;
    RMT_OK(rmt_store_get(store, id, false, &chunk, &error));
    assert_int_equal(chunk.plain_size, size);
    RMT_OK(rmt_store_get(store, id, true, &chunk, &error));
}

void
fixture_assert_sound(rmt_store_t *store)
{
    const char *text = NULL;
    const rmt_store_report_t report = fixture_check(store, true, &text);
    assert_string_equal(text, "");
    assert_int_equal(report.missing + report.damaged + report.orphan_files, 0);
}

void *
fixture_write_many(void *args)
{
    const fixture_writing_t *job = args;
    rmt_auto(rmt_store) store = fixture_open(job->root);
    rmt_error_t error = {0};
    for (uint64_t round = 0; round < 25; round++) {
        for (uint64_t i = 0; i < 20; i++)
            fixture_put(store, job->seed + round * 20 + i, 400);
        RMT_OK(rmt_store_commit(store, &error));
    }
    return NULL;
}
