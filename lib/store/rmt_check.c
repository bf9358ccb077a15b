// rmt_store_check: is everything there, and what its name says?
#include "rmt_store_inside.h"
#include "rmt_auto.h"
#include "rmt_io.h"
#include "rmt_log.h"
#include "rmt_sweep.h"

#include <assert.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    rmt_store_t *store;
    bool deep;
    rmt_store_finding_fn *finding;
    void *context;
    rmt_store_report_t *report;
    const char *image; // Its id, while one is visited
} s_check_t;

static void s_find(const s_check_t *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
s_find(const s_check_t *check, const char *format, ...)
{
    char text[768];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (check->finding)
        check->finding(check->context, text);
}

// ---- Packs

static void
s_check_records(s_check_t *check, int fd, const char *path, const rmt_slot_t *slots,
                size_t count)
{
    rmt_store_t *store = check->store;
    for (size_t i = 0; i < count; i++) {
        rmt_chunk_t chunk;
        rmt_error_t error;
        check->report->chunks++;
        check->report->bytes_stored += slots[i].size;
        check->report->bytes_plain += slots[i].plain_size;
        if (!check->deep ||
            (rmt_pack_read(fd, &slots[i], store->room, &chunk, &error) == 0 &&
             rmt_chunk_open(&chunk, store->plain, &error) == 0))
            continue;
        char id[RMT_ID_TEXT_SIZE];
        check->report->damaged++;
        s_find(check, "pack %s at %u: chunk %s is damaged: %s", path, slots[i].offset,
               rmt_id_text(&slots[i].id, id), error.text);
    }
}

static void
s_check_pack(s_check_t *check, const rmt_file_name_t *name)
{
    rmt_auto_str path = rmt_store_path(check->store, "packs", name);
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return; // gc has just removed it
    rmt_auto_ptr slots = NULL;
    rmt_slot_t *found = NULL;
    size_t count = 0;
    uint64_t size = 0;
    rmt_error_t error;
    check->report->packs++;
    if (rmt_pack_load(fd, name, &found, &count, &size, &error) == -1) {
        check->report->damaged++;
        s_find(check, "pack %s is damaged: %s", path, error.text);
        return;
    }
    slots = found;
    s_check_records(check, fd, path, slots, count);
}

static int
s_check_packs(s_check_t *check, rmt_error_t *error)
{
    rmt_buffer_t names = {0};
    uint64_t others = 0;
    if (rmt_store_list(check->store, "packs", &names, &others, error) == -1)
        return -1;
    for (size_t at = 0; at < names.used; at += RMT_FILE_NAME_SIZE) {
        rmt_file_name_t name;
        memcpy(name.bytes, names.data + at, sizeof name);
        s_check_pack(check, &name);
    }
    rmt_buffer_clear(&names);
    if (others > 0)
        s_find(check, "%s has %llu files that are no packs", check->store->packs,
               (unsigned long long) others);
    check->report->orphan_files += others;
    return 0;
}

// ---- Indexes

static void
s_check_table(s_check_t *check, const rmt_table_t *table, rmt_buffer_t *listed)
{
    rmt_auto_str path = rmt_store_path(check->store, "index", &table->name);
    rmt_error_t error;
    rmt_auto(rmt_index) again = rmt_index_open(path, &error);
    if (!again) {
        if (error.code == RMT_E_NOT_FOUND)
            return; // Merged meanwhile
        check->report->damaged++;
        s_find(check, "%s", error.text);
        return;
    }
    for (uint32_t pack = 0; pack < rmt_index_pack_count(again); pack++) {
        const rmt_file_name_t name = rmt_index_pack_name(again, pack);
        rmt_buffer_add(listed, name.bytes, sizeof name);
        if (!table->index || rmt_index_flags(table->index)[pack] & RMT_PACK_PRESENT)
            continue;
        char text[RMT_FILE_TEXT_SIZE];
        check->report->missing++;
        s_find(check, "index %s: pack %s is missing, or has another size", path,
               rmt_file_name_text(&name, text));
    }
}

static int
s_check_indexes(s_check_t *check, rmt_error_t *error)
{
    rmt_buffer_t listed = {0}, names = {0};
    for (size_t i = 0; i < check->store->table_count; i++)
        s_check_table(check, &check->store->tables[i], &listed);
    const int result = rmt_store_list(check->store, "packs", &names, NULL, error);
    if (listed.used > 0)
        qsort(listed.data, listed.used / RMT_FILE_NAME_SIZE, RMT_FILE_NAME_SIZE,
              rmt_file_name_compare);
    for (size_t at = 0; at < names.used && result == 0; at += RMT_FILE_NAME_SIZE) {
        rmt_file_name_t name;
        memcpy(name.bytes, names.data + at, sizeof name);
        if (rmt_names_have(&listed, &name))
            continue;
        char text[RMT_FILE_TEXT_SIZE];
        check->report->orphan_files++;
        s_find(check, "pack %s is in no index", rmt_file_name_text(&name, text));
    }
    rmt_buffer_clear(&listed);
    rmt_buffer_clear(&names);
    return result;
}

// ---- Images

static int
s_check_presence(void *context, const rmt_id_t *id, const char *path, rmt_error_t *error)
{
    (void) error;
    s_check_t *check = context;
    if (rmt_store_can_read(check->store, id))
        return 0;
    char text[RMT_ID_TEXT_SIZE], shown[256];
    check->report->missing++;
    s_find(check, "image %s: chunk %s of %s is missing", check->image,
           rmt_id_text(id, text),
           path ? rmt_log_escape(shown, sizeof shown, path) : "its lists");
    return 0;
}

static void
s_check_image(s_check_t *check, const char *text)
{
    rmt_id_t id;
    rmt_error_t error;
    check->report->images++;
    check->image = text;
    if (rmt_id_parse(&id, text, &error) == -1)
        return;
    rmt_auto(rmt_records) records = rmt_image_load(check->store, &id, &error);
    if (!records) {
        if (error.code == RMT_E_NOT_FOUND)
            return; // Removed meanwhile
        check->report->damaged++;
        s_find(check, "image %s is damaged: %s", text, error.text);
        return;
    }
    for (size_t i = 0; i < rmt_records_count(records); i++) {
        if (rmt_image_visit(check->store, rmt_records_at(records, i), s_check_presence,
                            check, &error) == 0)
            continue;
        // What is missing was told and counted by the visit already.
        if (error.code != RMT_E_NOT_FOUND)
            check->report->damaged++;
        s_find(check, "image %s: %s", text, error.text);
    }
}

static int
s_check_images(s_check_t *check, rmt_error_t *error)
{
    rmt_auto(rmt_records) images = rmt_store_image_list(check->store, error);
    if (!images)
        return -1;
    for (size_t i = 0; i < rmt_records_count(images); i++)
        s_check_image(check, rmt_record_text(rmt_records_at(images, i), "id", ""));
    return 0;
}

int
rmt_store_check(rmt_store_t *self, bool deep, rmt_store_finding_fn *finding,
                void *context, rmt_store_report_t *report_out, rmt_error_t *error)
{
    rmt_store_report_t report = {0};
    s_check_t check = {
        .store = self,
        .deep = deep,
        .finding = finding,
        .context = context,
        .report = &report,
    };
    uint64_t left_behind = 0;
    if (rmt_store_refresh(self, error) == -1 || s_check_packs(&check, error) == -1 ||
        s_check_indexes(&check, error) == -1 || s_check_images(&check, error) == -1 ||
        rmt_sweep_count(self, &left_behind, error) == -1)
        return -1;
    if (left_behind > 0)
        s_find(&check, "%llu folders of writers that ended without a commit",
               (unsigned long long) left_behind);
    report.orphan_files += left_behind;
    *report_out = report;
    return 0;
}
