// asker - a thread that puts questions to the broker, one after the other.
//
// The broker may be slow or away; the thread of HTTP never waits for it.
#pragma once

#include <czmq.h>
#include "base/rmt_error.h"

typedef struct asker asker_t;

// All texts; those that a question has not are empty.
typedef struct {
    const char *path;
    const char *operator_name, *key, *body; // Of an act
} asker_question_t;

// Find the answer to a question, in the thread. Caller owns the result. NULL: the error.
typedef char *(asker_fn) (void *context, const asker_question_t *question,
                          rmt_error_t *error);

// Borrows context, which is the thread's alone until the object is destroyed. Caller owns
// the result.
asker_t *asker_new(asker_fn *answer, void *context);
// Blocks while a question waits for the broker, some seconds at most.
void asker_destroy(asker_t **self_p);

// Ask; the texts are copied. Ask the next one when this one is answered.
void asker_ask(asker_t *self, const asker_question_t *question);

// Readable when there is an answer.
zsock_t *asker_pipe(asker_t *self);

typedef struct {
    rmt_error_t error; // Code 0: body is the answer
    char *body;        // Malloc'ed
} asker_answer_t;

// Take an answer; blocks until it is there. Caller owns its body.
void asker_take(asker_t *self, asker_answer_t *answer_out);
