#include "trust/rmt_signed.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "facts/rmt_facts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char s_mark[] = "class=signature ";

void
rmt_signed_destroy(rmt_signed_t **self_p)
{
    rmt_signed_t *self = *self_p;
    if (!self)
        return;
    free(self->text);
    rmt_records_destroy(&self->records);
    rmt_records_destroy(&self->signatures);
    free(self);
    *self_p = NULL;
}

// Where the first line of a signature begins, or the end.
static size_t
s_body_size(const char *text)
{
    const char *line = text;
    while (*line && strncmp(line, s_mark, strlen(s_mark)) != 0) {
        const char *end = strchr(line, '\n');
        line = end ? end + 1 : line + strlen(line);
    }
    return (size_t) (line - text);
}

static int
s_check_body(const rmt_signed_t *self, rmt_error_t *error)
{
    const size_t count = rmt_records_count(self->records);
    if (count == 0)
        return rmt_fail(error, RMT_E_USAGE, "the text has nothing above its signatures");
    if (count > RMT_SIGNED_RECORDS_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG, "the text has %zu records, limit %d", count,
                        RMT_SIGNED_RECORDS_MAX);
    if (rmt_records_find(self->records, "class", "signature"))
        return rmt_fail(error, RMT_E_USAGE,
                        "a signature has another form than: class=signature key=DIGITS "
                        "signature=DIGITS");
    return 0;
}

static int
s_check_signatures(const rmt_signed_t *self, rmt_error_t *error)
{
    const size_t count = rmt_records_count(self->signatures);
    if (count > RMT_SIGNED_KEYS_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG, "the text has %zu signatures, limit %d",
                        count, RMT_SIGNED_KEYS_MAX);
    for (size_t i = 0; i < count; i++) {
        const rmt_record_t *record = rmt_records_at(self->signatures, i);
        const char *key_text = rmt_record_text(record, "key", "");
        rmt_sign_key_t key;
        uint8_t signature[RMT_SIGN_SIZE];
        if (!rmt_record_is(record, "class", "signature") ||
            rmt_record_count(record) != 3 || !rmt_sign_key_parse(&key, key_text) ||
            !rmt_sign_parse(signature, rmt_record_text(record, "signature", "")))
            return rmt_fail(error, RMT_E_USAGE,
                            "signature %zu has another form than: class=signature "
                            "key=DIGITS signature=DIGITS",
                            i + 1);
        if (rmt_records_find(self->signatures, "key", key_text) != record)
            return rmt_fail(error, RMT_E_USAGE, "key %.16s... has signed twice",
                            key_text);
    }
    return 0;
}

rmt_signed_t *
rmt_signed_read(const void *data, size_t size, rmt_error_t *error)
{
    const char *bytes = data;
    if (size > RMT_SIGNED_SIZE_MAX) {
        rmt_fail(error, RMT_E_TOO_BIG, "the text has %zu bytes, limit %zu", size,
                 RMT_SIGNED_SIZE_MAX);
        return NULL;
    }
    if (size == 0 || memchr(bytes, '\0', size) || bytes[size - 1] != '\n') {
        rmt_fail(error, RMT_E_USAGE, "the text is empty, cut off, or not text");
        return NULL;
    }
    rmt_auto(rmt_signed) self = calloc(1, sizeof *self);
    assert(self);
    self->text = strndup(bytes, size);
    self->body_size = s_body_size(self->text);
    rmt_auto_str body = strndup(self->text, self->body_size);
    self->records = rmt_facts_parse(body, error);
    self->signatures =
        self->records ? rmt_facts_parse(self->text + self->body_size, error) : NULL;
    if (!self->signatures || s_check_body(self, error) == -1 ||
        s_check_signatures(self, error) == -1)
        return NULL;
    return rmt_take(&self);
}

void
rmt_signed_id(const rmt_signed_t *self, rmt_id_t *id_out)
{
    rmt_id_compute(id_out, self->text, self->body_size);
}

// The bytes that are signed. Caller owns.
static void *
s_bytes(const rmt_signed_t *self, const char *domain, size_t *size_out)
{
    const size_t head = strlen(domain) + 1;
    char *bytes = malloc(head + self->body_size);
    assert(bytes);
    memcpy(bytes, domain, head);
    memcpy(bytes + head, self->text, self->body_size);
    *size_out = head + self->body_size;
    return bytes;
}

char *
rmt_signed_add(const rmt_signed_t *self, const char *domain, const rmt_sign_key_t *key)
{
    size_t size;
    rmt_auto_ptr bytes = s_bytes(self, domain, &size);
    uint8_t signature[RMT_SIGN_SIZE];
    rmt_sign_make(key, bytes, size, signature);
    char key_text[RMT_SIGN_PUBLIC_TEXT_SIZE], digits[RMT_SIGN_TEXT_SIZE];
    (void) rmt_sign_key_text(key, key_text);
    rmt_auto(rmt_records) signatures = rmt_records_dup(self->signatures);
    rmt_record_t *record = rmt_records_find(signatures, "key", key_text);
    if (!record)
        record = rmt_records_add(signatures);
    rmt_record_set(record, "class", "signature");
    rmt_record_set(record, "key", key_text);
    rmt_record_set(record, "signature", rmt_sign_text(signature, digits));
    rmt_auto_str below = rmt_facts_print(signatures);
    return rmt_text("%.*s%s", (int) self->body_size, self->text, below);
}

bool
rmt_signed_is_true(const rmt_signed_t *self, const char *domain,
                   const rmt_record_t *signature)
{
    rmt_error_t ignored = {0};
    rmt_sign_key_t key;
    uint8_t digits[RMT_SIGN_SIZE];
    size_t size;
    rmt_auto_ptr bytes = s_bytes(self, domain, &size);
    return rmt_sign_key_parse(&key, rmt_record_text(signature, "key", "")) &&
           rmt_sign_parse(digits, rmt_record_text(signature, "signature", "")) &&
           rmt_sign_check(&key, bytes, size, digits, &ignored) == 0;
}
