#include "wire/rmt_msg.h"

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

rmt_msg_t *
rmt_msg_away(const char *text)
{
    rmt_msg_t *reply = rmt_msg_new(RMT_MSG_REPLY);
    reply->code = RMT_E_UNAVAILABLE;
    rmt_msg_text(&reply->text, text);
    rmt_record_set(rmt_msg_body(reply), "away", "yes");
    return reply;
}

bool
rmt_msg_is_away(const rmt_msg_t *reply)
{
    return reply->code == RMT_E_UNAVAILABLE && reply->body &&
           rmt_record_flag(reply->body, "away");
}

void
rmt_msg_destroy(rmt_msg_t **self_p)
{
    assert(self_p);
    rmt_msg_t *self = *self_p;
    if (!self)
        return;
    char *texts[] = {self->role,  self->name, self->service, self->phase, self->text,
                     self->place, self->verb, self->cursor,  self->topic, self->token};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
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
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
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

// Names and values, each with its tag and length.
size_t
rmt_msg_record_size(const rmt_record_t *record)
{
    size_t sum = 0;
    for (size_t i = 0; i < rmt_record_count(record); i++) {
        size_t size = 0;
        (void) rmt_record_value_at(record, i, &size);
        sum += size + strlen(rmt_record_name_at(record, i)) + 8;
    }
    return sum;
}

const char *
rmt_msg_kind_name(rmt_msg_kind_t kind)
{
    static const char *const names[] = {
        [RMT_MSG_HELLO] = "hello",       [RMT_MSG_WELCOME] = "welcome",
        [RMT_MSG_BEAT] = "beat",         [RMT_MSG_CREDIT] = "credit",
        [RMT_MSG_TASK] = "task",         [RMT_MSG_PROGRESS] = "progress",
        [RMT_MSG_RESULT] = "result",     [RMT_MSG_RECORDED] = "recorded",
        [RMT_MSG_CANCEL] = "cancel",     [RMT_MSG_PEERS] = "peers",
        [RMT_MSG_REQUEST] = "request",   [RMT_MSG_REPLY] = "reply",
        [RMT_MSG_EVENT] = "event",       [RMT_MSG_ENROL] = "enrol",
        [RMT_MSG_ENROLLED] = "enrolled", [RMT_MSG_REFUSED] = "refused",
        [RMT_MSG_NOTICE] = "notice",     [RMT_MSG_OPEN] = "open",
        [RMT_MSG_OPENED] = "opened",     [RMT_MSG_OFFER] = "offer",
        [RMT_MSG_WANT] = "want",         [RMT_MSG_CHUNK] = "chunk",
        [RMT_MSG_ACK] = "ack",           [RMT_MSG_SEAL] = "seal",
        [RMT_MSG_SEALED] = "sealed",     [RMT_MSG_FETCH] = "fetch",
        [RMT_MSG_ABSENT] = "absent",     [RMT_MSG_LATER] = "later",
        [RMT_MSG_CHUNKS] = "chunks",     [RMT_MSG_WHOLE] = "whole",
    };
    const size_t index = (size_t) kind;
    if (index >= sizeof names / sizeof names[0] || !names[index])
        return "unknown";
    return names[index];
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
    static const char digits[] = "0123456789abcdef";
    if (strlen(text) != 2 * RMT_UID_SIZE || strspn(text, digits) != 2 * RMT_UID_SIZE)
        return rmt_fail(error, RMT_E_USAGE,
                        "\"%.80s\" is not a uid of %d hexadecimal digits", text,
                        2 * RMT_UID_SIZE);
    for (size_t i = 0; i < RMT_UID_SIZE; i++) {
        const long high = strchr(digits, text[2 * i]) - digits;
        const long low = strchr(digits, text[2 * i + 1]) - digits;
        uid[i] = (uint8_t) (high << 4 | low);
    }
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
