#include "broker/broker.h"

#include <inttypes.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_failpoint.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "base/rmt_random.h"
#include "broker/keyring.h"
#include "broker/saver.h"

#define STATE_FILE_MAX 4096
#define STATE_FREE_MIN ((uint64_t) 64 * 1024)

// ---- The state file: era and youngest known entry, by which a restored Redis is known;
// and the id by which Redis tells whether this broker has told them

static void
s_new_id(rmt_broker_t *self)
{
    uint8_t uid[RMT_UID_SIZE];
    rmt_random_bytes(uid, sizeof uid);
    rmt_uid_text(uid, self->id);
}

// id: NULL in a file of an older version, which has no moment either. Caller owns.
static char *
s_text(uint32_t era, const rmt_known_t *known, const char *id)
{
    return id ? rmt_text("era = %u\naudit = \"%s\"\nmoment = \"%s\"\nid = \"%s\"\n", era,
                         known->id, known->moment, id)
              : rmt_text("era = %u\naudit = \"%s\"\n", era, known->id);
}

static void
s_value(const char *data, const char *name, const char *digits, char *out, size_t size)
{
    const char *at = strstr(data, name);
    at = at ? at + strlen(name) : "";
    snprintf(out, size, "%.*s", (int) strspn(at, digits), at);
}

// All that is read, written again, is the file: nothing in it is damaged unseen.
static bool
s_read(rmt_broker_t *self, const char *data)
{
    uint64_t ms = 0, n = 0;
    if (sscanf(data, "era = %" SCNu32 "\naudit = \"%" SCNu64 "-%" SCNu64 "\"",
               &self->file_era, &ms, &n) != 3)
        return false;
    snprintf(self->file.id, sizeof self->file.id, "%" PRIu64 "-%" PRIu64, ms, n);
    s_value(data, "\nmoment = \"", "0123456789", self->file.moment,
            sizeof self->file.moment);
    s_value(data, "\nid = \"", "0123456789abcdef", self->id, sizeof self->id);
    self->is_id_saved = strlen(self->id) == sizeof self->id - 1;
    rmt_auto_str again =
        s_text(self->file_era, &self->file, self->is_id_saved ? self->id : NULL);
    if (!self->is_id_saved)
        s_new_id(self);
    return streq(data, again);
}

int
rmt_broker_load(rmt_broker_t *self, rmt_error_t *error)
{
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    const char *path = self->settings->state_file;
    if (rmt_io_load(path, STATE_FILE_MAX, &data, &size, error) == -1) {
        if (error->code == RMT_E_NOT_FOUND) {
            snprintf(self->known.id, sizeof self->known.id, "0-0");
            s_new_id(self);
            return 0;
        }
        return -1;
    }
    if (strlen(data) != size || !s_read(self, data))
        return rmt_fail(error, RMT_E_CONFIG,
                        "the state file of this broker, %s, is damaged or another "
                        "program's; move it away, keep it, and start the broker: it "
                        "begins with a new one",
                        path);
    self->known = self->file;
    return 0;
}

static bool
s_is_younger(const char *id, const char *than)
{
    uint64_t ms[2] = {0}, n[2] = {0};
    (void) sscanf(id, "%" SCNu64 "-%" SCNu64, &ms[0], &n[0]);
    (void) sscanf(than, "%" SCNu64 "-%" SCNu64, &ms[1], &n[1]);
    return ms[0] != ms[1] ? ms[0] > ms[1] : n[0] > n[1];
}

void
rmt_broker_know(rmt_broker_t *self, const char *id, const char *moment)
{
    if (!s_is_younger(id, self->known.id))
        return;
    snprintf(self->known.id, sizeof self->known.id, "%s", id);
    snprintf(self->known.moment, sizeof self->known.moment, "%s", moment);
}

bool
rmt_broker_file_due(const rmt_broker_t *self, rmt_broker_file_t *file_out)
{
    *file_out = (rmt_broker_file_t){.era = self->era ? self->era : self->file_era,
                                    .known = self->known};
    snprintf(file_out->id, sizeof file_out->id, "%s", self->id);
    return !self->is_id_saved || file_out->era != self->file_era ||
           !streq(self->known.id, self->file.id) ||
           !streq(self->known.moment, self->file.moment);
}

int
rmt_broker_file_write(const rmt_broker_t *self, const rmt_broker_file_t *file,
                      rmt_error_t *error)
{
    const char *path = self->settings->state_file;
    rmt_auto_str text = s_text(file->era, &file->known, file->id);
    if (RMT_FAILPOINT("broker.state.save") == -1)
        return rmt_fail_errno(error, "save %s", path);
    return rmt_io_save(path, text, strlen(text), 0600, error);
}

void
rmt_broker_file_written(rmt_broker_t *self, const rmt_broker_file_t *file)
{
    self->file_era = file->era;
    self->file = file->known;
    self->is_id_saved = true;
}

int
rmt_broker_save(rmt_broker_t *self, rmt_error_t *error)
{
    rmt_broker_file_t file;
    if (self->saver)
        rmt_saver_wait(self->saver); // It would write what is older by then
    if (!rmt_broker_file_due(self, &file))
        return 0;
    if (rmt_broker_file_write(self, &file, error) == -1)
        return -1;
    rmt_broker_file_written(self, &file);
    return 0;
}

int
rmt_broker_check(const rmt_broker_t *self, rmt_error_t *error)
{
    const char *path = self->settings->state_file;
    rmt_auto_str folder = strdup(path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    const char *at = slash ? folder : ".";
    struct statvfs space;
    if (access(at, W_OK | X_OK) == -1 || statvfs(at, &space) == -1)
        return rmt_fail_errno(error, "write %s", path);
    if ((uint64_t) space.f_bavail * space.f_frsize < STATE_FREE_MIN)
        return rmt_fail(error, RMT_E_NO_SPACE, "the file system of %s is full", path);
    return 0;
}

// ---- For all

bool
rmt_broker_is_open(const rmt_broker_t *self)
{
    return self->up_at != 0 && self->era != 0;
}

const char *
rmt_broker_not_open(const rmt_broker_t *self)
{
    return *self->away ? self->away : RMT_BROKER_NOT_OPEN;
}

void
rmt_broker_tell_name(const rmt_broker_t *self, rmt_record_t *record)
{
    struct utsname host;
    uname(&host);
    rmt_record_setf(record, "broker", "%s:%d", host.nodename, self->settings->port);
}

void
rmt_broker_call(rmt_broker_t *self, const char *function, const rmt_record_t *body,
                rmt_state_fn *fn, void *context)
{
    const rmt_call_t call = {.function = function, .body = body};
    rmt_state_call(self->state, &call, fn, context);
}

// ---- Refused acts

#define REFUSED "act.refused"

static void
s_audit_refused(rmt_broker_t *self, const char *user, const char *address,
                const char *act, const char *why)
{
    const rmt_record_t *key = rmt_keyring_find(self->keyring, user);
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "what", REFUSED);
    rmt_record_set(body, "key", user);
    rmt_record_set(body, "by-role", key ? rmt_record_text(key, "role", "") : "");
    rmt_record_set(body, "by-name", key ? rmt_record_text(key, "name", "") : "");
    rmt_record_set(body, "address", address);
    rmt_record_set(body, "act", act);
    rmt_record_set(body, "text", why);
    rmt_broker_call(self, "audit_append", body, NULL, NULL);
}

void
rmt_broker_refuse(rmt_broker_t *self, const char *user, const char *address,
                  const char *act, const char *why)
{
    char quoted[128];
    self->refused++;
    rmt_log_escape(quoted, sizeof quoted, act);
    rmt_auto_str peer = rmt_text("%s %s", user, quoted);
    if (!rmt_fold_is_first(self->fold, REFUSED, peer, rmt_clock_ms()))
        return;
    rmt_log(RMT_WARN, "act.refused", "key=%s act=%s text=\"%s\"", user, quoted, why);
    s_audit_refused(self, user, address, quoted, why);
}

// The peer of a refused act is key and act.
static void
s_tell_folded(void *context, const char *event, const char *peer, uint64_t count)
{
    const size_t size = strcspn(peer, " ");
    rmt_auto_str user = rmt_text("%.*s", (int) size, peer);
    rmt_log(RMT_WARN, "log.folded", "kind=%s peer=%s count=%" PRIu64, event, user, count);
    if (!streq(event, REFUSED))
        return;
    rmt_auto_str why = rmt_text("refused %" PRIu64 " times more within a minute", count);
    s_audit_refused(context, user, "", peer + size + (peer[size] == ' '), why);
}

void
rmt_broker_tick(rmt_broker_t *self, int64_t now)
{
    rmt_fold_tick(self->fold, now, s_tell_folded, self);
}
