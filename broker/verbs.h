// verbs - every verb that can be asked: who may, which function answers, what is checked
// and added on the way.
#pragma once

#include "broker/guard.h"

// What a verb is beside the roles that may use it.
enum {
    RMT_VERB_QUIET = 256,   // It leaves no entry in the audit stream
    RMT_VERB_SETS = 512,    // What it sets is checked with the record as it is
    RMT_VERB_JUDGES = 1024, // It is called with the settings of Redis
    RMT_VERB_READS = 2048,  // It changes nothing, and is repeated at will
};

typedef struct rmt_verb rmt_verb_t;

// One request on its way to Redis and back.
typedef struct {
    rmt_broker_t *broker;
    const rmt_verb_t *verb;
    zsock_t *port;
    zframe_t *route;
    rmt_origin_t origin;
    rmt_msg_t *msg;
    rmt_record_t *meta;
    size_t size; // Of the envelope
    char key[RMT_USER_SIZE];
    char lane[RMT_LANE_NAME_SIZE];
    char token[RMT_TOKEN_TEXT_SIZE];
} rmt_ask_t;

struct rmt_verb {
    const char *name;
    unsigned roles; // And what else it is
    const char *function;
    int (*before)(rmt_ask_t *ask, rmt_error_t *error); // Checks and adds; may be NULL
    void (*after)(rmt_ask_t *ask, rmt_msg_t *reply);   // For code 0; may be NULL
};

// NULL: there is no such verb.
const rmt_verb_t *rmt_verbs_find(const char *name);

// Whether the role of a key may use the verb.
bool rmt_verbs_may(const rmt_verb_t *verb, const rmt_record_t *key);

// Why a key may not use it: which roles may, and how to come to it. Caller owns the
// result (free).
char *rmt_verbs_refusal(const rmt_verb_t *verb, const rmt_record_t *key);
