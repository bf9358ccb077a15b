#include "console/warrant.h"
#include "console/plan.h"
#include "console/release.h"
#include "console/trust_file.h"
#include "console/watch.h"
#include "console/moment.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_random.h"
#include "trust/rmt_warrant.h"
#include "wire/rmt_codec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PAGE_BYTES ((size_t) 128 * 1024)
#define PAGE_ITEMS 200
#define DAY_S 86400
#define SELECT_GAPS ", \t\n\v\f\r" // As the function words of lib/state/ramet.lua
#define CHOICE_SIZE_MAX ((size_t) 64 * 1024)

// What all warrants of one job share.
typedef struct {
    call_t *call;
    rmt_root_t *root;
    rmt_sign_key_t key;
    char image[RMT_ID_TEXT_SIZE], nonce[2 * RMT_UID_SIZE + 1];
    uint64_t release, issued_s, not_after_s;
    const char *policy;
    bool allow_older;
    rmt_records_t *verdicts, *scripts;
    rmt_records_t *page;
    size_t page_bytes, signed_count;
} signing_t;

static void
s_close(signing_t *self)
{
    rmt_sign_key_wipe(&self->key);
    rmt_root_destroy(&self->root);
    rmt_records_destroy(&self->verdicts);
    rmt_records_destroy(&self->scripts);
    rmt_records_destroy(&self->page);
}

// Seconds until the job has begun, or until the first window ends in which it begins.
static uint64_t
s_ahead_s(const rmt_record_t *body, uint64_t now_s)
{
    const uint64_t after_s = rmt_record_u64(body, "after-s", 0);
    const uint64_t length_s = rmt_record_u64(body, "window-s", 0);
    const uint64_t from_s = rmt_record_u64(body, "window-from-s", 0) % DAY_S;
    const uint64_t into_s = (now_s + after_s + DAY_S - from_s) % DAY_S;
    if (length_s == 0)
        return after_s;
    return after_s + (into_s < length_s ? 0 : DAY_S) + length_s - into_s;
}

// Without a word of its user they are good for the usual time behind that.
static int
s_set_times(signing_t *self, const rmt_record_t *body, rmt_error_t *error)
{
    unsigned life_s = 0;
    const char *text = rmt_record_text(self->call->options, "valid", NULL);
    if (text && moment_parse_span(text, &life_s, error) == -1)
        return rmt_wrap(error, "--valid");
    self->issued_s = rmt_warrant_now_s();
    const uint64_t ahead_s = s_ahead_s(body, self->issued_s);
    self->not_after_s = self->issued_s + (text ? life_s : ahead_s + RMT_WARRANT_LIFE_S);
    return 0;
}

// Trust root, key, image and its release, times.
static int
s_open(signing_t *self, const char *path, const rmt_record_t *body, rmt_error_t *error)
{
    char key[RMT_SIGN_PUBLIC_TEXT_SIZE];
    rmt_release_t release = {.counter = 0};
    if (trust_of(self->call, &self->root, error) == -1)
        return -1;
    if (!self->root)
        return rmt_fail(error, RMT_E_CONFIG,
                        "the console's configuration has an order-key and no trust-root; "
                        "name the file of the trust root");
    if (rmt_sign_key_load(&self->key, path, error) == -1)
        return -1;
    if (!rmt_root_person(self->root, RMT_ROOT_ROLE_ORDER,
                         rmt_sign_key_text(&self->key, key)))
        return rmt_fail(error, RMT_E_NOT_ALLOWED,
                        "key %.8s in %s is not an order key of trust root %" PRIu64
                        "; see: ramet trust show",
                        key, path, rmt_root_version(self->root));
    if (release_find(self->call, rmt_record_text(body, "image", ""), self->root,
                     self->image, &release, error) == -1)
        return -1;
    self->release = release.counter;
    uint8_t nonce[RMT_UID_SIZE];
    rmt_random_bytes(nonce, sizeof nonce);
    const call_once_t *once = self->call->once;
    (void) rmt_uid_text(once ? once->content : nonce, self->nonce);
    return s_set_times(self, body, error);
}

// The disks that the plan has chosen; NULL for a target that the image does not fit.
// Caller owns.
static rmt_records_t *
s_choice(const signing_t *self, const char *target)
{
    size_t size = 0;
    rmt_error_t ignored = {0};
    const rmt_record_t *verdict = rmt_records_find(self->verdicts, "target", target);
    const void *packed = verdict ? rmt_record_get(verdict, "choice", &size) : NULL;
    rmt_auto(rmt_records) choice =
        packed ? rmt_codec_unpack_records(packed, size, CHOICE_SIZE_MAX, &ignored) : NULL;
    return choice && rmt_records_count(choice) > 0 ? rmt_take(&choice) : NULL;
}

// The words of a script's selection, which all must be in the target's record.
static bool
s_is_selected(const rmt_record_t *script, const rmt_record_t *target)
{
    rmt_auto_str words = rmt_text("%s", rmt_record_text(script, "select", ""));
    char *rest = NULL;
    for (char *word = strtok_r(words, SELECT_GAPS, &rest); word;
         word = strtok_r(NULL, SELECT_GAPS, &rest)) {
        char *equals = strchr(word, '=');
        if (!equals)
            return false;
        *equals = '\0';
        if (strcmp(rmt_record_text(target, word, ""), equals + 1) != 0)
            return false;
    }
    return true;
}

// The scripts that the target's engine gives to it. Caller owns.
static rmt_records_t *
s_scripts(const signing_t *self, const rmt_record_t *target)
{
    rmt_records_t *own = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(self->scripts); i++) {
        const rmt_record_t *script = rmt_records_at(self->scripts, i);
        const char *only = rmt_record_text(script, "target", "");
        if (!rmt_record_is(script, "engine", rmt_record_text(target, "engine", "")) ||
            (*only && !rmt_record_is(target, "name", only)) ||
            !s_is_selected(script, target))
            continue;
        rmt_record_t *copy = rmt_record_dup(script);
        rmt_records_append(own, &copy);
    }
    return own;
}

static int
s_check_identity(const rmt_record_t *target, rmt_error_t *error)
{
    if (*rmt_record_text(target, "identity", ""))
        return 0;
    const char *name = rmt_record_text(target, "name", "?");
    return rmt_fail(error, RMT_E_REFUSED,
                    "ramet does not know the computer of target %s, so no warrant can "
                    "name it; start its agent once, then look at it with: ramet target "
                    "show %s",
                    name, name);
}

static int
s_check_release(const signing_t *self, const rmt_record_t *target, rmt_error_t *error)
{
    const uint64_t had = rmt_record_u64(target, "release", 0);
    if (self->allow_older || self->release >= had)
        return 0;
    return rmt_fail(error, RMT_E_NOT_ALLOWED,
                    "target %s runs release %" PRIu64
                    ", and the image is release %" PRIu64
                    "; to install an older one, add --allow-older",
                    rmt_record_text(target, "name", "?"), had, self->release);
}

static int
s_send_page(signing_t *self, rmt_error_t *error)
{
    if (rmt_records_count(self->page) == 0)
        return 0;
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "batch", self->nonce);
    rmt_auto(rmt_msg) reply =
        call_request(self->call, "warrant.put", body, self->page, error);
    rmt_records_destroy(&self->page);
    self->page = rmt_records_new();
    self->page_bytes = 0;
    return reply ? 0 : -1;
}

// Caller owns the text.
static char *
s_write(const signing_t *self, const rmt_record_t *target, const rmt_records_t *choice)
{
    rmt_auto(rmt_records) scripts = s_scripts(self, target);
    rmt_id_t personal;
    char personal_text[RMT_ID_TEXT_SIZE];
    rmt_order_personal_id(target, NULL, &personal);
    const rmt_warrant_t warrant = {.farm = rmt_root_farm(self->root),
                                   .image = self->image,
                                   .target = rmt_record_text(target, "name", ""),
                                   .identity = rmt_record_text(target, "identity", ""),
                                   .policy = self->policy,
                                   .nonce = self->nonce,
                                   .personal = rmt_id_text(&personal, personal_text),
                                   .issued_s = self->issued_s,
                                   .not_after_s = self->not_after_s,
                                   .least = self->release,
                                   .allow_older = self->allow_older,
                                   .choice = choice,
                                   .scripts = scripts};
    return rmt_warrant_sign(&warrant, &self->key);
}

static int
s_sign(signing_t *self, const rmt_record_t *target, rmt_error_t *error)
{
    const char *name = rmt_record_text(target, "name", "");
    rmt_auto(rmt_records) choice = s_choice(self, name);
    if (!choice) // The job says why it does not fit
        return 0;
    if (s_check_identity(target, error) == -1 ||
        s_check_release(self, target, error) == -1)
        return -1;
    rmt_auto_str text = s_write(self, target, choice);
    if (strlen(text) > RMT_WARRANT_SIZE_MAX || !*text)
        return rmt_fail(error, RMT_E_TOO_BIG,
                        "the warrant of target %s has more than %zu bytes; its engine "
                        "has too many scripts",
                        name, RMT_WARRANT_SIZE_MAX);
    rmt_record_t *item = rmt_records_add(self->page);
    rmt_record_set(item, "target", name);
    rmt_record_set(item, "warrant", text);
    self->signed_count++;
    self->page_bytes += strlen(text) + strlen(name);
    if (self->page_bytes >= PAGE_BYTES || rmt_records_count(self->page) >= PAGE_ITEMS)
        return s_send_page(self, error);
    return 0;
}

static int
s_sign_all(signing_t *self, const rmt_records_t *items, const rmt_records_t *targets,
           rmt_error_t *error)
{
    for (size_t i = 0; i < rmt_records_count(items); i++) {
        const char *name = rmt_record_text(rmt_records_at(items, i), "target", "");
        const rmt_record_t *target = rmt_records_find(targets, "name", name);
        if (!target)
            return rmt_fail(error, RMT_E_NOT_FOUND,
                            "the target %s does not exist; see: ramet target list", name);
        if (s_sign(self, target, error) == -1)
            return -1;
    }
    return s_send_page(self, error);
}

int
warrant_sign_all(call_t *call, rmt_record_t *body, const rmt_records_t *items,
                 const rmt_records_t *targets, rmt_error_t *error)
{
    const char *path = call_path(call, "order-key", error);
    if (!path)
        return -1;
    if (!*path)
        return rmt_fail(error, RMT_E_CONFIG,
                        "the console's configuration has no order-key, and targets carry "
                        "out what is signed alone; make keys with: ramet trust create "
                        "FOLDER --farm NAME");
    signing_t self = {.call = call,
                      .policy = rmt_record_text(body, "policy", ""),
                      .allow_older = rmt_record_has(call->options, "allow-older"),
                      .page = rmt_records_new()};
    rmt_auto(rmt_record) none = rmt_record_new();
    int rc = s_open(&self, path, body, error);
    if (rc == 0) {
        self.verdicts = rmt_record_has(call->options, "plan")
                            ? plan_read(call, body, error)
                            : plan_verdicts(call, body, error);
        self.scripts = self.verdicts ? call_list(call, "script.list", none, error) : NULL;
        rc = self.scripts ? s_sign_all(&self, items, targets, error) : -1;
    }
    if (rc == 0 && self.signed_count > 0)
        rmt_record_set(body, "warrants", self.nonce);
    s_close(&self);
    return rc;
}

int
warrant_sign_retry(call_t *call, rmt_record_t *body, rmt_error_t *error)
{
    const char *path = call_path(call, "order-key", error);
    if (!path)
        return -1;
    if (!*path)
        return 0;
    rmt_auto(rmt_record) none = rmt_record_new();
    rmt_auto(rmt_msg) reply = call_request(call, "job.show", body, NULL, error);
    rmt_auto(rmt_records) rows = reply ? call_list(call, "job.show", body, error) : NULL;
    rmt_auto(rmt_records) known =
        rows ? call_list(call, "target.list", none, error) : NULL;
    if (!known)
        return -1;
    rmt_auto(rmt_records) failed = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(rows); i++)
        if (rmt_record_is(rmt_records_at(rows, i), "state", "failed"))
            rmt_record_set(rmt_records_add(failed), "target",
                           rmt_record_text(rmt_records_at(rows, i), "name", ""));
    rmt_record_t *job = rmt_msg_body(reply);
    if (!rmt_record_is(job, "kind", "deploy") || rmt_records_count(failed) == 0)
        return 0;
    if (warrant_sign_all(call, job, failed, known, error) == -1)
        return -1;
    if (rmt_record_has(job, "warrants"))
        rmt_record_set(body, "warrants", rmt_record_text(job, "warrants", ""));
    return 0;
}
