#include "store/rmt_verify.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "store/rmt_image.h"

#include <string.h>

typedef struct {
    rmt_verify_t *verify;
    const char *image; // Its id
    const char *mount; // Of the volume
    bool is_told;      // That something of this record is wrong
} s_visit_t;

// Look at a chunk for the first time. False: it is not there, or not right.
static bool
s_is_sound(rmt_verify_t *self, const rmt_id_t *id, rmt_error_t *why)
{
    if (!self->deep) {
        if (rmt_store_can_read(self->store, id))
            return true;
        return rmt_fail(why, RMT_E_NOT_FOUND, "is missing") == 0;
    }
    rmt_chunk_t chunk;
    if (rmt_store_get(self->store, id, true, &chunk, why) == -1)
        return false;
    self->report->chunks++;
    self->report->bytes_plain += chunk.plain_size;
    self->report->bytes_stored += chunk.size;
    return true;
}

static void
s_count(rmt_verify_t *self, const rmt_error_t *why)
{
    if (rmt_watch_is_unread(why))
        self->report->unread++;
    else
        self->report->damaged++;
}

static void
s_tell(s_visit_t *visit, const rmt_id_t *id, const char *path)
{
    const rmt_verify_t *self = visit->verify;
    const bool is_unread = rmt_idset_has(self->unread, id);
    const bool is_missing = !is_unread && !rmt_store_can_read(self->store, id);
    char chunk[RMT_ID_TEXT_SIZE], shown[256];
    rmt_auto_str full =
        path ? rmt_text("%s%s%s", visit->mount, *path ? "/" : "", path) : NULL;
    const rmt_store_finding_t finding = {.what = is_unread    ? "unread"
                                                 : is_missing ? "missing"
                                                              : "damaged",
                                         .image = visit->image,
                                         .chunk = rmt_id_text(id, chunk),
                                         .path = full};
    visit->is_told = true;
    rmt_watch_tell(visit->verify->watch, &finding, "image %s: chunk %s of %s is %s",
                   visit->image, chunk,
                   full ? rmt_log_escape(shown, sizeof shown, full) : "its lists",
                   finding.what);
}

static int
s_visit(void *context, const rmt_id_t *id, const char *path, rmt_error_t *error)
{
    s_visit_t *visit = context;
    rmt_verify_t *self = visit->verify;
    if (rmt_watch_alive(self->watch, self->report->bytes_plain, 0, error) == -1)
        return -1;
    const bool is_new = !rmt_idset_has(self->sound, id) && !rmt_idset_has(self->bad, id);
    rmt_error_t why = {0};
    if (is_new) {
        const bool is_sound = s_is_sound(self, id, &why);
        rmt_idset_add(is_sound ? self->sound : self->bad, id);
        if (!is_sound && why.code == RMT_E_NOT_FOUND)
            self->report->missing++;
        else if (!is_sound)
            s_count(self, &why);
        if (!is_sound && rmt_watch_is_unread(&why))
            rmt_idset_add(self->unread, id);
    }
    if (rmt_idset_has(self->bad, id))
        s_tell(visit, id, path);
    return 0;
}

static void
s_tell_image(const rmt_verify_t *self, const char *image, const rmt_error_t *why)
{
    const bool is_unread = rmt_watch_is_unread(why);
    const rmt_store_finding_t finding = {.what = is_unread ? "unread" : "damaged",
                                         .image = image};
    rmt_watch_tell(self->watch, &finding, "image %s %s: %s", image,
                   is_unread ? "cannot be read from the disk" : "is damaged", why->text);
}

int
rmt_verify_image(rmt_verify_t *self, const rmt_id_t *id, rmt_error_t *error)
{
    char text[RMT_ID_TEXT_SIZE];
    s_visit_t visit = {.verify = self, .image = rmt_id_text(id, text)};
    rmt_error_t why = {0};
    rmt_auto(rmt_records) records = rmt_image_load(self->store, id, &why);
    if (!records && why.code == RMT_E_NOT_FOUND) {
        *error = why;
        return -1;
    }
    if (!records) {
        s_count(self, &why);
        s_tell_image(self, text, &why);
        return 0;
    }
    for (size_t i = 0; i < rmt_records_count(records); i++) {
        const rmt_record_t *record = rmt_records_at(records, i);
        const char *mount = rmt_record_text(record, "mount", "");
        visit.mount = strcmp(mount, "/") == 0 ? "" : mount;
        visit.is_told = false;
        if (rmt_image_visit(self->store, record, s_visit, &visit, &why) == 0)
            continue;
        if (why.code == RMT_E_CANCELLED) {
            *error = why;
            return -1;
        }
        // A list that cannot be read was counted when its chunk was looked at.
        if (!visit.is_told)
            s_count(self, &why);
        s_tell_image(self, text, &why);
    }
    return 0;
}

int
rmt_store_verify(rmt_store_t *self, const rmt_id_t *image, const rmt_store_watch_t *watch,
                 rmt_store_report_t *report_out, rmt_error_t *error)
{
    rmt_store_report_t report = {.images = 1};
    rmt_auto(rmt_idset) sound = rmt_idset_new();
    rmt_auto(rmt_idset) bad = rmt_idset_new();
    rmt_auto(rmt_idset) unread = rmt_idset_new();
    rmt_verify_t verify = {.store = self,
                           .watch = watch,
                           .report = &report,
                           .sound = sound,
                           .bad = bad,
                           .unread = unread,
                           .deep = true};
    if (rmt_store_refresh(self, error) == -1 ||
        rmt_verify_image(&verify, image, error) == -1)
        return rmt_wrap(error, "store %s", rmt_store_root(self));
    *report_out = report;
    return 0;
}
