#include "broker/audit.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_failpoint.h"
#include "base/rmt_io.h"
#include "base/rmt_json.h"
#include "base/rmt_log.h"
#include "broker/aside.h"
#include "broker/audit_file.h"

#define FILE_SIZE_MAX ((uint64_t) 16 << 20) // Then the next file begins
#define DAY_MS ((int64_t) 24 * 3600 * 1000)
#define PAGE_SIZE ((size_t) 128 * 1024)

struct rmt_audit {
    rmt_broker_t *broker;
    rmt_aside_t *aside; // Writes: while it does, the loop leaves what follows alone
    rmt_msg_t *reply;   // What it writes
    rmt_error_t wrong;  // Why it could not
    uint32_t era;       // Of the marks
    rmt_audit_file_t *file;
    rmt_sign_key_t key;
    char key_text[RMT_SIGN_PUBLIC_TEXT_SIZE];
    rmt_chain_t chain; // The last line that is written
    rmt_known_t at;    // The last entry that is written
    uint64_t signed_n; // The last line, if it is a mark of this life
    bool is_open;
    bool is_begun; // This life of the broker has written its first mark
    bool is_busy;  // A call is under way, or lines are written
    bool is_dirty; // Redis has not heard how far the file has come
    char cut[24];  // The line of which a mark says that it is gone
    rmt_error_t fault;
};

rmt_audit_t *
rmt_audit_new(rmt_broker_t *broker)
{
    rmt_audit_t *self = zmalloc(sizeof *self);
    const char *folder = broker->settings->audit_folder;
    rmt_auto_str beside = rmt_text("%s.audit", broker->settings->state_file);
    self->broker = broker;
    self->aside = rmt_aside_new();
    self->file = rmt_audit_file_new(folder && *folder ? folder : beside);
    return self;
}

void
rmt_audit_destroy(rmt_audit_t **self_p)
{
    rmt_audit_t *self = *self_p;
    if (!self)
        return;
    rmt_aside_destroy(&self->aside); // First: it may be writing
    rmt_msg_destroy(&self->reply);
    rmt_audit_file_destroy(&self->file);
    rmt_sign_key_wipe(&self->key);
    free(self);
    *self_p = NULL;
}

const char *
rmt_audit_fault(const rmt_audit_t *self)
{
    return self->fault.code == RMT_E_OK ? "" : self->fault.text;
}

// It is logged once, and told to Redis with the next call.
static void
s_fail(rmt_audit_t *self, const rmt_error_t *error)
{
    if (strcmp(rmt_audit_fault(self), error->text) != 0)
        rmt_log(RMT_ERROR, "audit.unwritten", "code=%s text=\"%s\"",
                rmt_code_name(error->code), error->text);
    self->fault = *error;
    self->is_dirty = true;
}

// ---- Where the files end

// A member of a line that the broker itself has written, whose value has no escapes.
static void
s_member(const char *line, const char *name, char *out, size_t size)
{
    rmt_auto_str head = rmt_text("\"%s\":\"", name);
    const char *at = strstr(line, head);
    at = at ? at + strlen(head) : "";
    snprintf(out, size, "%.*s", (int) strcspn(at, "\""), at);
}

static int
s_take_last(rmt_audit_t *self, const char *last, rmt_error_t *error)
{
    rmt_chain_line_t line;
    self->chain = (rmt_chain_t){0};
    self->at = (rmt_known_t){.id = "0-0"};
    if (!last)
        return 0;
    if (rmt_chain_read(&line, last, strlen(last), error) == -1)
        return rmt_wrap(error, "the newest audit file ends with another program's line; "
                               "move the folder away, and keep it");
    self->chain = line.at;
    s_member(last, "id", self->at.id, sizeof self->at.id);
    s_member(last, "moment", self->at.moment, sizeof self->at.moment);
    return 0;
}

static int
s_open(rmt_audit_t *self, rmt_error_t *error)
{
    rmt_auto_str last = NULL;
    self->is_open = self->is_begun = false;
    if (rmt_audit_file_open(self->file, &last, error) == -1 ||
        rmt_audit_file_key(self->file, &self->key, error) == -1 ||
        s_take_last(self, last, error) == -1)
        return -1;
    rmt_sign_key_text(&self->key, self->key_text);
    self->is_open = self->is_dirty = true;
    return 0;
}

// ---- Lines

// Lines on their way into the file, and where the chain is behind them.
typedef struct {
    char *text;
    size_t size;
    rmt_chain_t chain;
    rmt_known_t at;
    uint64_t signed_n;
} batch_t;

static batch_t
s_batch(const rmt_audit_t *self)
{
    return (batch_t){.text = strdup(""),
                     .chain = self->chain,
                     .at = self->at,
                     .signed_n = self->signed_n};
}

static void
s_put(batch_t *batch, char *line)
{
    const size_t size = strlen(line);
    batch->text = realloc(batch->text, batch->size + size + 1);
    assert(batch->text);
    memcpy(batch->text + batch->size, line, size + 1);
    batch->size += size;
    free(line);
}

static void
s_put_mark(const rmt_audit_t *self, batch_t *batch, const char *word, const char *text)
{
    char clock[RMT_CLOCK_TEXT_SIZE];
    rmt_auto(rmt_record) record = rmt_record_new();
    rmt_record_set(record, "id", batch->at.id);
    rmt_record_set(record, "moment", batch->at.moment);
    rmt_broker_tell_name(self->broker, record);
    rmt_record_set_u64(record, "era", self->era);
    rmt_record_set(record, "time", rmt_clock_text(rmt_clock_wall_ms(), clock));
    if (*text)
        rmt_record_set(record, "text", text);
    rmt_auto_str members = rmt_json_members(record);
    s_put(batch, rmt_chain_mark(&batch->chain, word, members, &self->key));
    batch->signed_n = batch->chain.n;
}

static void
s_put_entry(batch_t *batch, const rmt_record_t *entry)
{
    const char *id = rmt_record_text(entry, "id", "");
    const char *moment = rmt_record_text(entry, "moment", "");
    rmt_auto(rmt_record) record = rmt_record_new();
    rmt_record_set(record, "id", id);
    rmt_record_set(record, "moment", moment);
    rmt_record_set(record, "serial", rmt_record_text(entry, "serial", ""));
    rmt_record_set(record, "what", rmt_record_text(entry, "what", ""));
    rmt_record_merge(record, entry);
    rmt_auto_str members = rmt_json_members(record);
    s_put(batch, rmt_chain_add(&batch->chain, members));
    snprintf(batch->at.id, sizeof batch->at.id, "%s", id);
    snprintf(batch->at.moment, sizeof batch->at.moment, "%s", moment);
}

// Takes what is in the batch. 0, or -1: CORRUPT (open the file anew), IO, NO_SPACE.
static int
s_write(rmt_audit_t *self, batch_t *batch, rmt_error_t *error)
{
    rmt_auto_str text = rmt_take(&batch->text);
    if (rmt_audit_file_append(self->file, text, batch->size, error) == -1)
        return -1;
    self->chain = batch->chain;
    self->at = batch->at;
    self->signed_n = batch->signed_n;
    self->is_dirty = true;
    return 0;
}

static int
s_write_mark(rmt_audit_t *self, const char *word, const char *text, rmt_error_t *error)
{
    batch_t batch = s_batch(self);
    s_put_mark(self, &batch, word, text);
    return s_write(self, &batch, error);
}

// Sign what was written since the last mark.
static int
s_sign(rmt_audit_t *self, const char *word, rmt_error_t *error)
{
    if (!self->is_begun || self->signed_n == self->chain.n)
        return 0;
    return s_write_mark(self, word, "", error);
}

// ---- Files

static bool
s_is_other_day(const rmt_audit_t *self)
{
    return rmt_clock_wall_ms() / DAY_MS != rmt_audit_file_begun_ms(self->file) / DAY_MS;
}

// Have a file that lines may be written to, and the first mark of this life in it.
static int
s_prepare(rmt_audit_t *self, rmt_error_t *error)
{
    const uint64_t size = rmt_audit_file_size(self->file);
    const bool is_full = size >= FILE_SIZE_MAX;
    const bool is_next = size == 0 || is_full || s_is_other_day(self);
    if (is_next && s_sign(self, is_full ? "size" : "day", error) == -1)
        return -1;
    if (is_next && rmt_audit_file_next(self->file, self->chain.n + 1, error) == -1)
        return -1;
    if (!is_next && self->is_begun)
        return 0;
    if (s_write_mark(self, self->is_begun ? "open" : "begin", "", error) == -1)
        return -1;
    self->is_begun = true;
    return 0;
}

// ---- What Redis says

static int
s_mark_cut(rmt_audit_t *self, const char *cut, rmt_error_t *error)
{
    rmt_auto_str text =
        rmt_text("the lines from here to %s were in the files before, and "
                 "are gone or changed",
                 cut);
    rmt_log(RMT_ERROR, "audit.cut", "line=%" PRIu64 " known=%s", self->chain.n, cut);
    if (s_prepare(self, error) == -1 || s_write_mark(self, "cut", text, error) == -1)
        return -1;
    snprintf(self->cut, sizeof self->cut, "%s", cut);
    return 0;
}

// The stream goes on elsewhere than where the files end.
static void
s_put_jump(const rmt_audit_t *self, batch_t *batch, const rmt_record_t *body)
{
    if (rmt_record_flag(body, "lost")) {
        rmt_auto_str text =
            rmt_text("Redis was restored and does not have entry %s; what it has behind "
                     "entry %s follows",
                     self->at.id, rmt_record_text(body, "after", ""));
        snprintf(batch->at.id, sizeof batch->at.id, "%s",
                 rmt_record_text(body, "after", "0-0"));
        snprintf(batch->at.moment, sizeof batch->at.moment, "%s",
                 rmt_record_text(body, "moment", ""));
        s_put_mark(self, batch, "restored", text);
    } else if (rmt_record_flag(body, "gap")) {
        s_put_mark(self, batch, "gap",
                   "the stream no longer has the entries between; they are in the files "
                   "of other brokers");
    }
}

static int
s_write_entries(rmt_audit_t *self, const rmt_msg_t *reply, rmt_error_t *error)
{
    const size_t count = rmt_records_count(reply->items);
    const bool is_jump =
        rmt_record_flag(reply->body, "lost") || rmt_record_flag(reply->body, "gap");
    self->is_dirty = false;
    if (count == 0 && !is_jump)
        return 0;
    if (s_prepare(self, error) == -1)
        return -1;
    batch_t batch = s_batch(self);
    s_put_jump(self, &batch, reply->body);
    for (size_t i = 0; i < count; i++)
        s_put_entry(&batch, rmt_records_at(reply->items, i));
    if (s_write(self, &batch, error) == -1)
        return -1;
    (void) RMT_FAILPOINT("audit.written");
    return 0;
}

static void s_ask(rmt_audit_t *self);

// A slow disk takes seconds for this, and the loop has beats to hear meanwhile.
static void
s_write_reply(void *context)
{
    rmt_audit_t *self = context;
    const rmt_msg_t *reply = self->reply;
    const char *cut = rmt_record_text(reply->body, "cut", "");
    self->cut[0] = '\0'; // Redis has heard of it
    self->wrong = (rmt_error_t){0};
    const int rc = *cut ? s_mark_cut(self, cut, &self->wrong)
                        : s_write_entries(self, reply, &self->wrong);
    rmt_error_t again = {0};
    if (rc == -1 && self->wrong.code == RMT_E_CORRUPT && s_open(self, &again) == -1)
        self->wrong = again;
}

static void
s_on_written(void *context)
{
    rmt_audit_t *self = context;
    self->is_busy = false;
    rmt_msg_destroy(&self->reply);
    if (self->wrong.code != RMT_E_OK) {
        s_fail(self, &self->wrong);
        return;
    }
    self->is_dirty = self->is_dirty || *rmt_audit_fault(self); // Redis hears its end
    self->fault = (rmt_error_t){0};
    if (self->is_dirty)
        s_ask(self);
}

static void
s_on_export(void *context, rmt_msg_t *reply)
{
    rmt_audit_t *self = context;
    if (reply->code != RMT_E_OK) {
        self->is_busy = false;
        self->is_dirty = true; // The next tick asks again
        return;
    }
    self->reply = rmt_msg_new(RMT_MSG_REPLY);
    self->reply->body = rmt_record_dup(reply->body);
    self->reply->items = reply->items ? rmt_records_dup(reply->items) : rmt_records_new();
    self->era = self->broker->era;
    rmt_aside_begin(self->aside, s_write_reply, s_on_written, self);
}

// How far the file has come, and what follows?
static void
s_ask(rmt_audit_t *self)
{
    char link[RMT_CHAIN_LINK_TEXT_SIZE];
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "key", self->key_text);
    rmt_broker_tell_name(self->broker, body);
    rmt_record_set_u64(body, "n", self->chain.n);
    rmt_record_set(body, "link", rmt_chain_link_text(self->chain.link, link));
    rmt_record_set(body, "id", self->at.id);
    rmt_record_set(body, "moment", self->at.moment);
    rmt_record_set(body, "cut", self->cut);
    rmt_record_set(body, "fault", rmt_audit_fault(self));
    self->is_busy = true;
    rmt_broker_call(self->broker, "audit_export", body, s_on_export, self);
}

void
rmt_audit_tick(rmt_audit_t *self, const char *newest)
{
    rmt_error_t error = {0};
    if (self->is_busy)
        return;
    self->era = self->broker->era;
    if (!self->is_open && s_open(self, &error) == -1) {
        s_fail(self, &error);
        return;
    }
    if (s_is_other_day(self) && s_sign(self, "day", &error) == -1) {
        s_fail(self, &error);
        return;
    }
    if (self->is_dirty || strcmp(newest, self->at.id) != 0)
        s_ask(self);
}

void
rmt_audit_handle(rmt_audit_t *self)
{
    rmt_aside_handle(self->aside);
}

int
rmt_audit_fd(const rmt_audit_t *self)
{
    return rmt_aside_fd(self->aside);
}

void
rmt_audit_stop(rmt_audit_t *self)
{
    rmt_error_t error = {0};
    rmt_aside_wait(self->aside);
    self->era = self->broker->era;
    if (s_sign(self, "stop", &error) == -1)
        s_fail(self, &error);
}

// ---- All files, for a reader

static int
s_begin_page(rmt_audit_t *self, rmt_audit_place_t *end, rmt_error_t *error)
{
    if (!self->is_open && s_open(self, error) == -1)
        return -1;
    if (s_prepare(self, error) == -1 || s_sign(self, "export", error) == -1)
        return -1;
    *end = rmt_audit_file_end(self->file);
    return 0;
}

static int
s_read_cursor(const char *cursor, rmt_audit_place_t *place, rmt_audit_place_t *end,
              rmt_error_t *error)
{
    if (sscanf(cursor, "%" SCNu64 "-%" SCNu64 "-%" SCNu64 "-%" SCNu64, &place->n,
               &place->offset, &end->n, &end->offset) == 4)
        return 0;
    return rmt_fail(error, RMT_E_USAGE,
                    "the cursor of an export has four numbers; begin "
                    "again with: ramet audit export FILE");
}

int
rmt_audit_page(rmt_audit_t *self, const char *cursor, rmt_msg_t *reply,
               rmt_error_t *error)
{
    assert(self && cursor && reply && error);
    if (!*cursor && self->reply)
        return rmt_fail(error, RMT_E_BUSY, "the audit is being written; ask again");
    rmt_audit_place_t place = {0}, end = {0};
    self->era = self->broker->era;
    const int rc = *cursor ? s_read_cursor(cursor, &place, &end, error)
                           : s_begin_page(self, &end, error);
    size_t used = 0;
    rmt_auto_ptr data = malloc(PAGE_SIZE);
    assert(data);
    if (rc == -1 ||
        rmt_audit_file_read(self->file, &place, end, data, PAGE_SIZE, &used, error) == -1)
        return -1;
    rmt_record_set(rmt_msg_body(reply), "key", self->key_text);
    rmt_record_put(reply->body, "content", data, used);
    const bool is_end = used == 0 || (place.n == end.n && place.offset == end.offset);
    rmt_auto_str next = rmt_text("%" PRIu64 "-%" PRIu64 "-%" PRIu64 "-%" PRIu64, place.n,
                                 place.offset, end.n, end.offset);
    rmt_msg_text(&reply->cursor, is_end ? "" : next);
    return 0;
}
