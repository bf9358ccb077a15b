// asker - a thread that puts questions to the broker, one after the other.
//
// The broker may be slow or away; the thread of HTTP never waits for it.
#pragma once

#include <czmq.h>
#include "gateway/settings.h"

typedef struct asker asker_t;

// Borrows settings. Nothing is asked yet. Caller owns the result. NULL: USAGE, IO.
asker_t *asker_new(const settings_t *settings, rmt_error_t *error);
// Blocks while a question waits for the broker, some seconds at most.
void asker_destroy(asker_t **self_p);

// Ask; the question is a path that routes_has. Ask the next one when this
// one is answered.
void asker_ask(asker_t *self, const char *question);

// Readable when there is an answer.
zsock_t *asker_pipe(asker_t *self);

typedef struct {
    rmt_error_t error; // Code 0: body is the answer
    char *body;        // Malloc'ed
} asker_answer_t;

// Take an answer; blocks until it is there. Caller owns its body.
void asker_take(asker_t *self, asker_answer_t *answer_out);
