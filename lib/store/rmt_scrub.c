#include "store/rmt_scrub.h"
#include "base/rmt_auto.h"
#include "base/rmt_failpoint.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "store/rmt_file_name.h"
#include "store/rmt_lock.h"
#include "store/rmt_pack.h"
#include "store/rmt_tables.h"
#include "store/rmt_verify.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define STATE_SIZE_MAX ((size_t) 4096)
#define STATE_FORMAT                                                                     \
    "ramet-scrub 1\n%s\n%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64        \
    " %" PRIu64 " %" PRIu64 "\n"
#define STATE_SCAN                                                                       \
    "ramet-scrub 1\n%32[0-9a-f]\n%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64           \
    " %" SCNu64 " %" SCNu64 " %" SCNu64 "\n"
#define STATE_NUMBERS 7 // With the name; an older run has not counted what was unread

typedef struct {
    rmt_store_t *store;
    const rmt_scrub_options_t *options;
    rmt_scrub_report_t report;
    rmt_file_name_t last; // The pack that was done last
    bool is_resumed;
    uint64_t total, begun; // Bytes of all packs; those that an earlier run has read
    int64_t started_ms;
} s_scrub_t;

// A pack that is looked at.
typedef struct {
    rmt_file_name_t name;
    char text[RMT_FILE_TEXT_SIZE];
    int fd;
    rmt_slot_t *slots;
    size_t count;
    bool *is_bad;   // For each slot
    bool is_unread; // The disk refuses to read some of it
} s_pack_t;

// ---- Where a run stands

static char *
s_state_path(const s_scrub_t *self)
{
    return rmt_text("%s/scrub", rmt_store_root(self->store));
}

static int
s_save_state(const s_scrub_t *self, rmt_error_t *error)
{
    const rmt_scrub_report_t *report = &self->report;
    char name[RMT_FILE_TEXT_SIZE];
    rmt_auto_str path = s_state_path(self);
    rmt_auto_str text =
        rmt_text(STATE_FORMAT, rmt_file_name_text(&self->last, name), report->packs,
                 report->chunks, report->bytes, report->damaged, report->quarantined,
                 report->rescued, report->unread);
    if (RMT_FAILPOINT("store.scrub.state") == -1)
        return rmt_fail_errno(error, "save %s", path);
    return rmt_io_save(path, text, strlen(text), 0600, error);
}

// A state that cannot be read is none: the run begins at the first pack.
static void
s_load_state(s_scrub_t *self)
{
    rmt_auto_str path = s_state_path(self);
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    rmt_error_t ignored;
    char name[RMT_FILE_TEXT_SIZE];
    rmt_scrub_report_t report = {0};
    if (self->options->again ||
        rmt_io_load(path, STATE_SIZE_MAX, &data, &size, &ignored) == -1 ||
        sscanf(data, STATE_SCAN, name, &report.packs, &report.chunks, &report.bytes,
               &report.damaged, &report.quarantined, &report.rescued,
               &report.unread) < STATE_NUMBERS ||
        !rmt_file_name_parse(&self->last, name))
        return;
    report.resumed = report.packs;
    self->report = report;
    self->begun = report.bytes;
    self->is_resumed = true;
}

// Wait until the bytes read so far are due.
static int
s_pace(s_scrub_t *self, rmt_error_t *error)
{
    const uint64_t rate = self->options->rate;
    for (;;) {
        if (rmt_watch_alive(self->options->watch, self->report.bytes, self->total,
                            error) == -1)
            return -1;
        const int64_t spent = rmt_clock_ms() - self->started_ms;
        const uint64_t read = self->report.bytes - self->begun;
        const int64_t due = rate ? (int64_t) ((double) read / (double) rate * 1000) : 0;
        if (due <= spent)
            return 0;
        const int64_t wait_ms = due - spent < 500 ? due - spent : 500;
        const struct timespec pause = {.tv_nsec = wait_ms * 1000000};
        nanosleep(&pause, NULL);
    }
}

// ---- Reading a pack

static void
s_pack_clear(s_pack_t *pack)
{
    if (pack->fd != -1)
        close(pack->fd);
    free(pack->slots);
    free(pack->is_bad);
}

// Slots of a pack whose own list is damaged, from the indexes.
static void
s_slots_of_index(rmt_store_t *store, s_pack_t *pack)
{
    rmt_buffer_t slots = {0};
    const rmt_tables_t *tables = rmt_store_tables(store);
    for (size_t i = 0; i < rmt_tables_count(tables); i++) {
        const rmt_index_t *index = rmt_tables_at(tables, i)->index;
        const uint64_t count = index ? rmt_index_count(index) : 0;
        for (uint64_t at = 0; at < count; at++) {
            rmt_slot_t slot;
            if (!rmt_index_slot(index, at, &slot))
                continue;
            const rmt_file_name_t name = rmt_index_pack_name(index, slot.pack);
            if (rmt_file_name_compare(&name, &pack->name) == 0)
                rmt_buffer_add(&slots, &slot, sizeof slot);
        }
    }
    pack->slots = (rmt_slot_t *) (void *) slots.data;
    pack->count = slots.used / sizeof *pack->slots;
}

static bool
s_is_sound(const s_scrub_t *self, const s_pack_t *pack, const rmt_slot_t *slot,
           rmt_error_t *why)
{
    rmt_chunk_t chunk;
    return rmt_store_get_slot(self->store, pack->fd, slot, true, &chunk, why) == 0;
}

// What is wrong must be so twice, read from the disk: a glitch on the way is no reason.
static bool
s_is_sound_twice(const s_scrub_t *self, const s_pack_t *pack, const rmt_slot_t *slot,
                 rmt_error_t *why)
{
    if (s_is_sound(self, pack, slot, why))
        return true;
    (void) posix_fadvise(pack->fd, 0, 0, POSIX_FADV_DONTNEED);
    return s_is_sound(self, pack, slot, why);
}

static void
s_tell_unread(s_scrub_t *self, s_pack_t *pack, const rmt_slot_t *slot,
              const rmt_error_t *why)
{
    char id[RMT_ID_TEXT_SIZE] = "";
    const rmt_store_finding_t finding = {.what = "unread",
                                         .chunk =
                                             slot ? rmt_id_text(&slot->id, id) : NULL,
                                         .pack = pack->text};
    self->report.unread++;
    pack->is_unread = true;
    rmt_watch_tell(self->options->watch, &finding,
                   "pack %s at %u cannot be read from the disk: %s; it stays where it is",
                   pack->text, slot ? slot->offset : 0, why->text);
}

static void
s_tell_damage(s_scrub_t *self, const s_pack_t *pack, const rmt_slot_t *slot,
              const char *why)
{
    char id[RMT_ID_TEXT_SIZE];
    const rmt_store_finding_t finding = {
        .what = "damaged", .chunk = rmt_id_text(&slot->id, id), .pack = pack->text};
    self->report.damaged++;
    rmt_watch_tell(self->options->watch, &finding,
                   "pack %s at %u: chunk %s is damaged: %s", pack->text, slot->offset, id,
                   why);
}

// 1: something is damaged; 0, -1.
static int
s_read_slots(s_scrub_t *self, s_pack_t *pack, rmt_error_t *error)
{
    int result = 0;
    for (size_t i = 0; i < pack->count; i++) {
        rmt_error_t why;
        self->report.chunks++;
        self->report.bytes += RMT_RECORD_HEAD_SIZE + (uint64_t) pack->slots[i].size;
        if (s_pace(self, error) == -1)
            return -1;
        if (s_is_sound_twice(self, pack, &pack->slots[i], &why))
            continue;
        pack->is_bad[i] = true;
        if (rmt_watch_is_unread(&why)) {
            s_tell_unread(self, pack, &pack->slots[i], &why);
            continue;
        }
        s_tell_damage(self, pack, &pack->slots[i], why.text);
        result = 1;
    }
    return result;
}

// ---- Quarantine

static int
s_rescue(s_scrub_t *self, const s_pack_t *pack, rmt_error_t *error)
{
    rmt_store_t *store = self->store;
    for (size_t i = 0; i < pack->count; i++) {
        rmt_chunk_t chunk;
        rmt_error_t why;
        if (pack->is_bad[i] ||
            rmt_store_has_beside(store, &pack->slots[i].id, &pack->name))
            continue;
        if (rmt_store_get_slot(store, pack->fd, &pack->slots[i], false, &chunk, &why) ==
            -1)
            continue; // It has gone bad since; it is missing then, and told at the end
        if (rmt_store_put_again(store, &chunk, error) == -1)
            return -1;
        self->report.rescued++;
        if (rmt_watch_alive(self->options->watch, self->report.bytes, self->total,
                            error) == -1)
            return -1;
    }
    return rmt_store_commit(store, error);
}

// Out of the indexes first: were it moved before and a crash fell between, it would be a
// pack that is listed and missing.
static int
s_leave_out(rmt_store_t *store, const s_pack_t *pack, rmt_error_t *error)
{
    rmt_auto_fd lock =
        rmt_lock_take(rmt_store_root(store), RMT_LOCK_INDEX, LOCK_EX, error);
    if (lock == -1 || rmt_store_refresh(store, error) == -1)
        return -1;
    rmt_tables_t *tables = rmt_store_tables(store);
    return rmt_tables_flag_pack(tables, &pack->name, RMT_PACK_DOOMED)
               ? rmt_tables_drop_doomed(tables, error)
               : 0;
}

static int
s_quarantine(s_scrub_t *self, const s_pack_t *pack, rmt_error_t *error)
{
    rmt_store_t *store = self->store;
    if (s_rescue(self, pack, error) == -1 || s_leave_out(store, pack, error) == -1)
        return rmt_wrap(error, "quarantine of pack %s", pack->text);
    rmt_auto_str folder = rmt_text("%s/" RMT_SCRUB_QUARANTINE, rmt_store_root(store));
    rmt_auto_str from = rmt_file_name_path(rmt_store_root(store), "packs", &pack->name);
    rmt_auto_str to =
        rmt_file_name_path(rmt_store_root(store), RMT_SCRUB_QUARANTINE, &pack->name);
    rmt_auto_str marker = rmt_file_name_path(rmt_store_root(store), "trash", &pack->name);
    if (rmt_io_mkdirs(folder, 0700, error) == -1)
        return -1;
    if ((RMT_FAILPOINT("store.scrub.quarantine") == -1 || rename(from, to) == -1) &&
        errno != ENOENT)
        return rmt_fail_errno(error, "move pack %s to quarantine", pack->text);
    (void) RMT_FAILPOINT("store.scrub.moved");
    (void) unlink(marker);
    self->report.quarantined++;
    return rmt_io_sync_parent(to, error) == -1 || rmt_io_sync_parent(from, error) == -1
               ? -1
               : 0;
}

// ---- All packs

static int
s_scrub_pack(s_scrub_t *self, s_pack_t *pack, rmt_error_t *error)
{
    rmt_auto_str path =
        rmt_file_name_path(rmt_store_root(self->store), "packs", &pack->name);
    pack->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (pack->fd == -1 && errno == ENOENT)
        return 0; // gc has just removed it
    if (pack->fd == -1) {
        rmt_error_t refused;
        rmt_fail_errno(&refused, "open %s", path);
        s_tell_unread(self, pack, NULL, &refused);
        return 0;
    }
    (void) posix_fadvise(pack->fd, 0, 0, POSIX_FADV_DONTNEED);
    uint64_t size = 0;
    rmt_error_t why;
    const bool is_loaded = rmt_pack_load(pack->fd, &pack->name, &pack->slots,
                                         &pack->count, &size, &why) == 0;
    const bool is_damaged = !is_loaded && !rmt_watch_is_unread(&why);
    if (!is_loaded && !is_damaged) {
        s_tell_unread(self, pack, NULL, &why);
        s_slots_of_index(self->store, pack);
    }
    if (is_damaged) {
        const rmt_store_finding_t finding = {.what = "damaged", .pack = pack->text};
        self->report.damaged++;
        rmt_watch_tell(self->options->watch, &finding, "pack %s is damaged: %s",
                       pack->text, why.text);
        s_slots_of_index(self->store, pack);
    }
    pack->is_bad = calloc(pack->count + 1, sizeof *pack->is_bad);
    if (!pack->is_bad)
        abort();
    const int result = s_read_slots(self, pack, error);
    if (result == -1)
        return -1;
    self->report.packs++;
    const bool goes = (is_damaged || result == 1) && !pack->is_unread;
    return goes ? s_quarantine(self, pack, error) : 0;
}

static int
s_scrub_packs(s_scrub_t *self, const rmt_buffer_t *names, rmt_error_t *error)
{
    for (size_t i = 0; i < rmt_file_names_count(names); i++) {
        s_pack_t pack = {.name = rmt_file_names_at(names, i), .fd = -1};
        if (self->is_resumed && rmt_file_name_compare(&pack.name, &self->last) <= 0)
            continue;
        rmt_file_name_text(&pack.name, pack.text);
        int result = s_scrub_pack(self, &pack, error);
        s_pack_clear(&pack);
        self->last = pack.name;
        if (result == 0)
            result = s_save_state(self, error);
        if (result == -1)
            return -1;
    }
    return 0;
}

static uint64_t
s_total(const rmt_store_t *store, const rmt_buffer_t *names)
{
    uint64_t total = 0;
    for (size_t i = 0; i < rmt_file_names_count(names); i++) {
        const rmt_file_name_t name = rmt_file_names_at(names, i);
        rmt_auto_str path = rmt_file_name_path(rmt_store_root(store), "packs", &name);
        struct stat status;
        if (stat(path, &status) == 0)
            total += (uint64_t) status.st_size;
    }
    return total;
}

// Whose chunks are lost by now: a check without reading the contents again.
static int
s_find_hit(s_scrub_t *self, rmt_error_t *error)
{
    rmt_store_report_t report = {0};
    rmt_auto(rmt_records) images = rmt_store_image_list(self->store, error);
    rmt_auto(rmt_idset) sound = rmt_idset_new();
    rmt_auto(rmt_idset) bad = rmt_idset_new();
    rmt_auto(rmt_idset) unread = rmt_idset_new();
    rmt_verify_t verify = {.store = self->store,
                           .watch = self->options->watch,
                           .report = &report,
                           .sound = sound,
                           .bad = bad,
                           .unread = unread};
    for (size_t i = 0; images && i < rmt_records_count(images); i++) {
        rmt_id_t id;
        rmt_error_t why;
        const char *text = rmt_record_text(rmt_records_at(images, i), "id", "");
        if (rmt_id_parse(&id, text, &why) == 0 &&
            rmt_verify_image(&verify, &id, &why) == -1 && why.code != RMT_E_NOT_FOUND) {
            *error = why;
            return -1;
        }
    }
    self->report.missing = report.missing;
    self->report.damaged += report.damaged;
    self->report.unread += report.unread;
    return images ? 0 : -1;
}

static int
s_run(s_scrub_t *self, rmt_error_t *error)
{
    rmt_buffer_t names = {0};
    if (rmt_store_refresh(self->store, error) == -1 ||
        rmt_file_names_read(rmt_store_root(self->store), "packs", &names, NULL, error) ==
            -1)
        return -1;
    self->total = s_total(self->store, &names);
    const int result = s_scrub_packs(self, &names, error);
    rmt_buffer_clear(&names);
    if (result == -1 || rmt_store_refresh(self->store, error) == -1 ||
        s_find_hit(self, error) == -1)
        return -1;
    rmt_auto_str path = s_state_path(self);
    return unlink(path) == -1 && errno != ENOENT
               ? rmt_fail_errno(error, "remove %s", path)
               : 0;
}

int
rmt_store_scrub(rmt_store_t *self, const rmt_scrub_options_t *options,
                rmt_scrub_report_t *report_out, rmt_error_t *error)
{
    assert(!rmt_store_is_open(self));
    rmt_auto_fd lock =
        rmt_lock_take(rmt_store_root(self), RMT_LOCK_SCRUB, LOCK_EX | LOCK_NB, error);
    if (lock == -1)
        return error->code == RMT_E_UNAVAILABLE
                   ? rmt_fail(error, RMT_E_UNAVAILABLE,
                              "another scrub of store %s is running",
                              rmt_store_root(self))
                   : rmt_wrap(error, "scrub of store %s", rmt_store_root(self));
    s_scrub_t scrub = {.store = self, .options = options, .started_ms = rmt_clock_ms()};
    s_load_state(&scrub);
    if (s_run(&scrub, error) == -1) {
        rmt_store_rollback(self);
        return rmt_wrap(error, "scrub of store %s", rmt_store_root(self));
    }
    *report_out = scrub.report;
    return 0;
}
