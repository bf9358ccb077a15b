// rmt_store_check: is everything there, and what its name says?
#include "store/rmt_file_name.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "store/rmt_pack.h"
#include "store/rmt_scrub.h"
#include "store/rmt_sweep.h"
#include "store/rmt_tables.h"
#include "store/rmt_verify.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    rmt_store_t *store;
    bool deep;
    const rmt_store_watch_t *watch;
    rmt_store_report_t *report;
    rmt_idset_t *sound, *bad, *unread; // As of rmt_verify_t
} s_check_t;

// ---- Packs

static void
s_find_damage(s_check_t *check, const char *path, const rmt_slot_t *slot,
              const rmt_error_t *why)
{
    char id[RMT_ID_TEXT_SIZE];
    const bool is_unread = rmt_watch_is_unread(why);
    const rmt_store_finding_t finding = {.what = is_unread ? "unread" : "damaged",
                                         .chunk = rmt_id_text(&slot->id, id),
                                         .pack = path};
    rmt_error_t error;
    rmt_chunk_t other;
    *(is_unread ? &check->report->unread : &check->report->damaged) += 1;
    rmt_watch_tell(check->watch, &finding, "pack %s at %u: chunk %s %s: %s", path,
                   slot->offset, id,
                   is_unread ? "cannot be read from the disk" : "is damaged", why->text);
    // Images that need it are hit only when there is no other copy.
    if (rmt_store_get(check->store, &slot->id, true, &other, &error) == -1)
        rmt_idset_add(check->bad, &slot->id);
    if (is_unread)
        rmt_idset_add(check->unread, &slot->id);
}

static int
s_check_records(s_check_t *check, int fd, const char *path, const rmt_slot_t *slots,
                size_t count, rmt_error_t *error)
{
    rmt_store_t *store = check->store;
    rmt_store_report_t *report = check->report;
    for (size_t i = 0; i < count; i++) {
        rmt_chunk_t chunk;
        rmt_error_t why;
        report->chunks++;
        report->bytes_stored += slots[i].size;
        report->bytes_plain += slots[i].plain_size;
        if (rmt_watch_alive(check->watch, report->bytes_stored, 0, error) == -1)
            return -1;
        if (check->deep &&
            rmt_store_get_slot(store, fd, &slots[i], true, &chunk, &why) == -1)
            s_find_damage(check, path, &slots[i], &why);
    }
    return 0;
}

static int
s_check_pack(s_check_t *check, const rmt_file_name_t *name, rmt_error_t *error)
{
    rmt_auto_str path = rmt_file_name_path(rmt_store_root(check->store), "packs", name);
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return 0; // gc has just removed it
    rmt_auto_ptr slots = NULL;
    rmt_slot_t *found = NULL;
    size_t count = 0;
    uint64_t size = 0;
    rmt_error_t why;
    check->report->packs++;
    if (rmt_pack_load(fd, name, &found, &count, &size, &why) == -1) {
        const bool is_unread = rmt_watch_is_unread(&why);
        const rmt_store_finding_t finding = {.what = is_unread ? "unread" : "damaged",
                                             .pack = path};
        *(is_unread ? &check->report->unread : &check->report->damaged) += 1;
        rmt_watch_tell(check->watch, &finding, "pack %s %s: %s", path,
                       is_unread ? "cannot be read from the disk" : "is damaged",
                       why.text);
        return 0;
    }
    slots = found;
    return s_check_records(check, fd, path, slots, count, error);
}

static int
s_check_packs(s_check_t *check, rmt_error_t *error)
{
    rmt_buffer_t names = {0};
    uint64_t others = 0;
    if (rmt_file_names_read(rmt_store_root(check->store), "packs", &names, &others,
                            error) == -1)
        return -1;
    int result = 0;
    for (size_t i = 0; i < rmt_file_names_count(&names) && result == 0; i++) {
        const rmt_file_name_t name = rmt_file_names_at(&names, i);
        result = s_check_pack(check, &name, error);
    }
    rmt_buffer_clear(&names);
    if (others > 0) {
        const rmt_store_finding_t finding = {.what = "orphan"};
        rmt_watch_tell(check->watch, &finding,
                       "the folder %s/packs has %llu files that are not packs",
                       rmt_store_root(check->store), (unsigned long long) others);
    }
    check->report->orphan_files += others;
    return result;
}

// ---- Indexes

static void
s_check_table(s_check_t *check, const rmt_table_t *table, rmt_buffer_t *listed)
{
    rmt_auto_str path =
        rmt_file_name_path(rmt_store_root(check->store), "index", &table->name);
    rmt_error_t error;
    rmt_auto(rmt_index) again = rmt_index_open(path, &error);
    if (!again) {
        if (error.code == RMT_E_NOT_FOUND)
            return; // Merged meanwhile
        const rmt_store_finding_t finding = {.what = "damaged"};
        check->report->damaged++;
        rmt_watch_tell(check->watch, &finding, "%s", error.text);
        return;
    }
    for (uint32_t pack = 0; pack < rmt_index_pack_count(again); pack++) {
        const rmt_file_name_t name = rmt_index_pack_name(again, pack);
        rmt_file_names_add(listed, &name);
        if (!table->index || rmt_index_flags(table->index)[pack] & RMT_PACK_PRESENT)
            continue;
        char text[RMT_FILE_TEXT_SIZE];
        const rmt_store_finding_t finding = {.what = "missing",
                                             .pack = rmt_file_name_text(&name, text)};
        check->report->missing++;
        rmt_watch_tell(check->watch, &finding,
                       "index %s: pack %s is missing, or has another size", path, text);
    }
}

static int
s_check_indexes(s_check_t *check, rmt_error_t *error)
{
    rmt_buffer_t listed = {0}, names = {0};
    const rmt_tables_t *tables = rmt_store_tables(check->store);
    for (size_t i = 0; i < rmt_tables_count(tables); i++)
        s_check_table(check, rmt_tables_at(tables, i), &listed);
    const int result =
        rmt_file_names_read(rmt_store_root(check->store), "packs", &names, NULL, error);
    rmt_file_names_sort(&listed);
    for (size_t i = 0; i < rmt_file_names_count(&names) && result == 0; i++) {
        const rmt_file_name_t name = rmt_file_names_at(&names, i);
        if (rmt_file_names_have(&listed, &name))
            continue;
        char text[RMT_FILE_TEXT_SIZE];
        const rmt_store_finding_t finding = {.what = "orphan",
                                             .pack = rmt_file_name_text(&name, text)};
        check->report->orphan_files++;
        rmt_watch_tell(check->watch, &finding, "no index lists pack %s", text);
    }
    rmt_buffer_clear(&listed);
    rmt_buffer_clear(&names);
    return result;
}

// ---- Images

static int
s_check_images(s_check_t *check, rmt_error_t *error)
{
    rmt_auto(rmt_records) images = rmt_store_image_list(check->store, error);
    if (!images)
        return -1;
    rmt_verify_t verify = {.store = check->store,
                           .watch = check->watch,
                           .report = check->report,
                           .sound = check->sound,
                           .bad = check->bad,
                           .unread = check->unread};
    for (size_t i = 0; i < rmt_records_count(images); i++) {
        rmt_id_t id;
        rmt_error_t why;
        check->report->images++;
        const char *text = rmt_record_text(rmt_records_at(images, i), "id", "");
        if (rmt_id_parse(&id, text, &why) == 0 &&
            rmt_verify_image(&verify, &id, &why) == -1 && why.code != RMT_E_NOT_FOUND) {
            *error = why;
            return -1; // One that is not found was removed meanwhile
        }
    }
    return 0;
}

// ---- What lies about

static int
s_check_leftovers(s_check_t *check, rmt_error_t *error)
{
    uint64_t left_behind = 0;
    if (rmt_sweep_count(rmt_store_root(check->store), &left_behind, error) == -1)
        return -1;
    const rmt_store_finding_t finding = {.what = "orphan"};
    if (left_behind > 0)
        rmt_watch_tell(
            check->watch, &finding,
            "the store has %llu folders of writers that ended without a commit",
            (unsigned long long) left_behind);
    check->report->orphan_files += left_behind;
    rmt_buffer_t names = {0};
    rmt_error_t why; // No such folder: scrub never had to put anything there
    if (rmt_file_names_read(rmt_store_root(check->store), RMT_SCRUB_QUARANTINE, &names,
                            NULL, &why) == 0)
        check->report->quarantined = rmt_file_names_count(&names);
    rmt_buffer_clear(&names);
    return 0;
}

int
rmt_store_check(rmt_store_t *self, bool deep, const rmt_store_watch_t *watch,
                rmt_store_report_t *report_out, rmt_error_t *error)
{
    rmt_store_report_t report = {0};
    rmt_auto(rmt_idset) sound = rmt_idset_new();
    rmt_auto(rmt_idset) bad = rmt_idset_new();
    rmt_auto(rmt_idset) unread = rmt_idset_new();
    s_check_t check = {
        .store = self,
        .deep = deep,
        .watch = watch,
        .report = &report,
        .sound = sound,
        .bad = bad,
        .unread = unread,
    };
    if (rmt_store_refresh(self, error) == -1 || s_check_packs(&check, error) == -1 ||
        s_check_indexes(&check, error) == -1 || s_check_images(&check, error) == -1 ||
        s_check_leftovers(&check, error) == -1)
        return -1;
    *report_out = report;
    return 0;
}
