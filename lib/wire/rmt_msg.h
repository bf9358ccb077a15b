// rmt_msg - one message of the exchange as a plain struct.
//
// One struct serves every kind; docs/spec/1-wire.md says which kind has which
// fields, and rmt_codec refuses a frame that breaks its limits. Fields that a kind
// does not have are zero or NULL. A message owns its text, bytes and records.
#pragma once

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <czmq.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"

#define RMT_WIRE_VERSION 1
#define RMT_UID_SIZE 16 // Jobs, tasks, nonces
#define RMT_CONTROL_SIZE_MAX ((size_t) 256 * 1024)
#define RMT_CHUNK_SIZE_MAX ((size_t) 1024 * 1024) // Plain bytes of a chunk
#define RMT_DATA_SIZE_MAX (RMT_CHUNK_SIZE_MAX + (size_t) 64 * 1024)
#define RMT_IDS_MAX 1024 // Ids in one Offer or Fetch

#define RMT_FIELDS_MAX 256 // In one record
#define RMT_ITEMS_MAX 4096 // Records in items, and in hand

// Equal to the numbers of Envelope.kind in proto/ramet.proto (static_assert in lib/wire).
typedef enum {
    RMT_MSG_HELLO = 10,
    RMT_MSG_WELCOME,
    RMT_MSG_BEAT,
    RMT_MSG_CREDIT,
    RMT_MSG_TASK,
    RMT_MSG_PROGRESS,
    RMT_MSG_RESULT,
    RMT_MSG_RECORDED,
    RMT_MSG_CANCEL,
    RMT_MSG_PEERS,
    RMT_MSG_REQUEST,
    RMT_MSG_REPLY,
    RMT_MSG_EVENT,
    RMT_MSG_ENROL,
    RMT_MSG_ENROLLED,
    RMT_MSG_REFUSED,
    RMT_MSG_NOTICE,
    RMT_MSG_OPEN = 40,
    RMT_MSG_OPENED,
    RMT_MSG_OFFER,
    RMT_MSG_WANT,
    RMT_MSG_CHUNK,
    RMT_MSG_ACK,
    RMT_MSG_SEAL,
    RMT_MSG_SEALED,
    RMT_MSG_FETCH,
    RMT_MSG_ABSENT,
    RMT_MSG_LATER,
    RMT_MSG_CHUNKS,
    RMT_MSG_WHOLE,
} rmt_msg_kind_t;

typedef struct rmt_msg {
    rmt_msg_kind_t kind;
    uint64_t sequence;
    uint32_t version, version_min, version_max;
    uint32_t era, beat_ms, slots, attempt, code, codec;
    uint32_t size; // Plain bytes of a chunk, 1 to RMT_CHUNK_SIZE_MAX
    uint64_t epoch, done, total, window, serial;
    uint8_t task[RMT_UID_SIZE], job[RMT_UID_SIZE], nonce[RMT_UID_SIZE];
    uint8_t idempotency[RMT_UID_SIZE]; // All zero: none
    uint8_t id[33];                    // A chunk or root
    // UTF-8; never NULL after decode when the kind has it. `text` is prose for people and
    // may hold any bytes when it is sent; the others are names and must be within limits.
    char *role, *name, *service, *phase, *text, *place, *verb, *cursor, *topic, *token;
    zchunk_t *ids; // Packed ids of 33 bytes
    zchunk_t *bitmap;
    rmt_record_t *body;          // Never NULL after decode when the kind has it
    rmt_records_t *items, *hand; // Likewise
    zframe_t *payload;           // The second frame of a Chunk or Chunks; else NULL
} rmt_msg_t;

// All fields empty. Caller owns the result.
rmt_msg_t *rmt_msg_new(rmt_msg_kind_t kind);
void rmt_msg_destroy(rmt_msg_t **self_p);

// The REPLY that Redis does not answer now (UNAVAILABLE, away=yes): the same request may
// be answered later. Other answers UNAVAILABLE are for the asker. Caller owns the result.
rmt_msg_t *rmt_msg_away(const char *text);
bool rmt_msg_is_away(const rmt_msg_t *reply);

// Replace an owned text field: rmt_msg_text(&msg->phase, "unpack").
void rmt_msg_text(char **field, const char *text);

// The body or items of a message that is being built, made when missing.
rmt_record_t *rmt_msg_body(rmt_msg_t *self);
rmt_records_t *rmt_msg_items(rmt_msg_t *self);

// Bytes that a record takes in a message, about: for a sender of many, to end a message
// in time.
size_t rmt_msg_record_size(const rmt_record_t *record);

// "hello", "task" ... for logs; "unknown" for others.
const char *rmt_msg_kind_name(rmt_msg_kind_t kind);

// 32 hexadecimal digits of a uid (jobs, tasks, nonces). Returns out.
char *rmt_uid_text(const uint8_t uid[RMT_UID_SIZE], char out[33]);
// 0, or -1: USAGE.
int rmt_uid_parse(uint8_t uid[RMT_UID_SIZE], const char *text, rmt_error_t *error);

#define RMT_JOB_TEXT_SIZE 11
// How people see a job: "j-" and 8 lower-case base32 digits, the first 40 bits of its
// uid. A prefix, so not unique by itself. Returns out.
char *rmt_job_text(const uint8_t uid[RMT_UID_SIZE], char out[RMT_JOB_TEXT_SIZE]);
