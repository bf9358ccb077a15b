#include "rmt_msg.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

rmt_msg_t *
rmt_msg_new(rmt_msg_kind_t kind)
{
    rmt_msg_t *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    self->kind = kind;
    return self;
}

void
rmt_msg_destroy(rmt_msg_t **self_p)
{
    assert(self_p);
    rmt_msg_t *self = *self_p;
    if (!self)
        return;
    char *const texts[] = { self->role,  self->name,  self->service, self->phase, self->text,
                            self->place, self->verb,  self->cursor,  self->topic, self->token };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    zchunk_destroy(&self->ids);
    zchunk_destroy(&self->bitmap);
    rmt_record_destroy(&self->body);
    rmt_records_destroy(&self->items);
    rmt_records_destroy(&self->hand);
    zframe_destroy(&self->payload);
    free(self);
    *self_p = NULL;
}

void
rmt_msg_text(char **field, const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort();
    free(*field);
    *field = copy;
}

rmt_record_t *
rmt_msg_body(rmt_msg_t *self)
{
    if (!self->body)
        self->body = rmt_record_new();
    return self->body;
}

rmt_records_t *
rmt_msg_items(rmt_msg_t *self)
{
    if (!self->items)
        self->items = rmt_records_new();
    return self->items;
}

const char *
rmt_msg_kind_name(rmt_msg_kind_t kind)
{
    static const char *const control[] = {
        "hello", "welcome", "beat",  "credit", "task",  "progress", "result",  "recorded",
        "cancel", "peers",  "request", "reply", "event", "enrol",   "enrolled", "refused",
    };
    static const char *const data[] = {
        "open", "opened", "offer", "want", "chunk", "ack", "seal", "sealed", "fetch",
        "absent", "later",
    };
    if (kind >= RMT_MSG_HELLO && kind <= RMT_MSG_REFUSED)
        return control[kind - RMT_MSG_HELLO];
    return kind >= RMT_MSG_OPEN && kind <= RMT_MSG_LATER ? data[kind - RMT_MSG_OPEN] : "unknown";
}

char *
rmt_uid_text(const uint8_t uid[RMT_UID_SIZE], char out[33])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < RMT_UID_SIZE; i++) {
        out[2 * i] = digits[uid[i] >> 4];
        out[2 * i + 1] = digits[uid[i] & 15];
    }
    out[2 * RMT_UID_SIZE] = '\0';
    return out;
}

int
rmt_uid_parse(uint8_t uid[RMT_UID_SIZE], const char *text, rmt_error_t *error)
{
    uint8_t parsed[RMT_UID_SIZE];
    static const char digits[] = "0123456789abcdef";
    if (strlen(text) != (size_t) 2 * RMT_UID_SIZE || strspn(text, digits) != strlen(text))
        return rmt_fail(error, RMT_E_USAGE, "\"%.64s\" is not 32 hexadecimal digits", text);
    for (size_t i = 0; i < RMT_UID_SIZE; i++)
        parsed[i] = (uint8_t) ((strchr(digits, text[2 * i]) - digits) << 4
                               | (strchr(digits, text[2 * i + 1]) - digits));
    memcpy(uid, parsed, RMT_UID_SIZE);
    return 0;
}

char *
rmt_job_text(const uint8_t uid[RMT_UID_SIZE], char out[RMT_JOB_TEXT_SIZE])
{
    static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint64_t bits = 0;
    for (size_t i = 0; i < 5; i++)
        bits = bits << 8 | uid[i];
    out[0] = 'j';
    out[1] = '-';
    for (size_t i = 0; i < 8; i++)
        out[2 + i] = base32[bits >> (35 - 5 * i) & 31];
    out[10] = '\0';
    return out;
}
